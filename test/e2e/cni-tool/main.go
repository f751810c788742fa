// Calls a CNI network as a container runtime does, through libcni, the library that all of them use:
//
//	cni-tool add|check|del|validate NETWORK CONTAINER NETNS [IFNAME]
//
// CNI_PATH and CNI_CONF_DIR name the folders of plugins and configs, CNI_CACHE where libcni keeps
// results, CAP_ARGS the capabilities' arguments as JSON, CNI_ARGS more arguments as K=V;K=V.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runtimeConf() *libcni.RuntimeConf {
	conf := &libcni.RuntimeConf{ContainerID: os.Args[3], NetNS: os.Args[4], IfName: "eth0"}
	if len(os.Args) > 5 {
		conf.IfName = os.Args[5]
	}
	for _, pair := range strings.Split(os.Getenv("CNI_ARGS"), ";") {
		if key, value, found := strings.Cut(pair, "="); found {
			conf.Args = append(conf.Args, [2]string{key, value})
		}
	}
	if text := os.Getenv("CAP_ARGS"); text != "" {
		check(json.Unmarshal([]byte(text), &conf.CapabilityArgs))
	}
	return conf
}

func main() {
	list, err := libcni.LoadConfList(os.Getenv("CNI_CONF_DIR"), os.Args[2])
	check(err)
	plugins := filepath.SplitList(os.Getenv("CNI_PATH"))
	cni := libcni.NewCNIConfigWithCacheDir(plugins, os.Getenv("CNI_CACHE"), nil)
	ctx, conf := context.Background(), runtimeConf()
	switch os.Args[1] {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, conf)
		check(err)
		check(result.Print())
	case "check":
		check(cni.CheckNetworkList(ctx, list, conf))
	case "del":
		check(cni.DelNetworkList(ctx, list, conf))
	case "validate":
		capabilities, err := cni.ValidateNetworkList(ctx, list)
		check(err)
		fmt.Println(capabilities)
	}
}
