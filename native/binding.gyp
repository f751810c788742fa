{
  # Debian's libipsec-mb-dev, linked statically: what was built here runs where it is not installed.
  "variables": {
    "has_ipsec_mb": "<!(echo '#include <intel-ipsec-mb.h>' | ${CXX:-c++} -E -x c++ - >/dev/null 2>&1 && echo 1 || echo 0)",
  },
  "target_defaults": {
    "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
    "defines": [
      "NAPI_VERSION=8",
      "NAPI_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
    ],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
    "cflags_cc": [
      "-std=c++20",
      "-fno-exceptions",
      "-fno-rtti",
      "-O2",
      "-Wall",
      "-Wextra",
      "-Wconversion",
      "-Werror",
    ],
  },
  "targets": [
    {
      "target_name": "dataplane",
      "sources": [
        "binding/address.cpp",
        "binding/fast-path-binding.cpp",
        "binding/module.cpp",
        "binding/native-plane.cpp",
        "core/checksum.cpp",
        "core/cipher-intel.cpp",
        "core/cipher-openssl.cpp",
        "core/cipher.cpp",
        "core/coalescer.cpp",
        "core/data-plane.cpp",
        "core/fdb.cpp",
        "core/forwarder-receive.cpp",
        "core/forwarder-send.cpp",
        "core/forwarder.cpp",
        "core/neighbour-answer.cpp",
        "core/neighbours.cpp",
        "core/packet.cpp",
        "core/segmenter.cpp",
        "core/send-queue.cpp",
        "core/sockets.cpp",
        "core/tables.cpp",
        "core/transport-checksum.cpp",
        "fastpath/bpf.cpp",
        "fastpath/fast-path.cpp",
        "fastpath/fdb-mirror.cpp",
        "fastpath/interface.cpp",
        "fastpath/object.cpp",
        "fastpath/routes.cpp",
        "tun/poll.cpp",
      ],
      "cflags_cc!": ["-O2"],
      "cflags_cc": ["-O3"],
      "conditions": [
        [
          "has_ipsec_mb==1",
          {
            "defines": ["WEFT_HAS_IPSEC_MB"],
            "libraries": ["-l:libIPSec_MB.a"],
          },
        ],
      ],
    },
    {
      "target_name": "dataplane_test",
      "sources": [
        "core/checksum.cpp",
        "core/cipher-intel.cpp",
        "core/cipher-openssl.cpp",
        "core/cipher.cpp",
        "core/coalescer.cpp",
        "core/fdb.cpp",
        "core/neighbour-answer.cpp",
        "core/packet.cpp",
        "core/segmenter.cpp",
        "core/transport-checksum.cpp",
        "test-addon/micro.cpp",
        "test-addon/module.cpp",
      ],
      # As `dataplane`, so that what the bench times is the code that runs.
      "cflags_cc!": ["-O2"],
      "cflags_cc": ["-O3"],
      "conditions": [
        [
          "has_ipsec_mb==1",
          {
            "defines": ["WEFT_HAS_IPSEC_MB"],
            "libraries": ["-l:libIPSec_MB.a"],
          },
        ],
      ],
    },
    {
      "target_name": "tun",
      "sources": [
        "tun/binding.cpp",
        "tun/netns_scope.cpp",
        "tun/poll.cpp",
        "tun/tun_device.cpp",
      ],
    },
    {
      "target_name": "netlink",
      "sources": ["netlink/binding.cpp", "netlink/transaction.cpp", "tun/netns_scope.cpp"],
    },
    {
      "target_name": "udpgen",
      "type": "executable",
      "sources": ["udpgen/udpgen.c"],
      "cflags_c": ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"],
    },
    {
      # Linked whole: it runs on hosts with another C library, or another version of this one.
      "target_name": "weft-cni",
      "type": "executable",
      "sources": ["cni/exchange.c", "cni/main.c", "cni/message.c", "cni/text.c"],
      "cflags_c": ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"],
      "ldflags!": ["-rdynamic"],
      "ldflags": ["-static"],
    },
    {
      "target_name": "host",
      "sources": ["host/host.cc"],
    },
  ],
}
