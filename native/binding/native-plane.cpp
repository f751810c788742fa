#include "native-plane.hpp"

#include <sys/random.h>

#include <cassert>

#include "address.hpp"
#include "fast-path-binding.hpp"

namespace weft {
namespace {

uint32_t Uint32(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }
uint16_t UdpPort(const Napi::Value& value) { return static_cast<uint16_t>(Uint32(value)); }
Mac MacOf(const Napi::Value& value) {
  return static_cast<Mac>(value.As<Napi::Number>().Int64Value());
}

// TypeScript has checked it.
SocketAddress AddressOf(const Napi::Value& text, const Napi::Value& port) {
  const auto address = ParseAddress(text.As<Napi::String>().Utf8Value(), UdpPort(port));
  assert(address.has_value());
  return *address;
}

AddressKey PeerOf(const Napi::Value& text) {
  const auto address = ParseAddress(text.As<Napi::String>().Utf8Value(), 0);
  assert(address.has_value());
  return KeyOf(address->storage);
}

// TypeScript has checked that it has 64 bits.
uint64_t TagOf(const Napi::Value& value) {
  bool is_lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&is_lossless);
}

CipherKind CipherOf(const Napi::Value& is_chacha) {
  return is_chacha.As<Napi::Boolean>() ? CipherKind::kChaCha20Poly1305 : CipherKind::kAes256Gcm;
}

// The bytes are copied into the cipher before the call returns.
CipherKey SealingKeyOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  assert(bytes.ByteLength() == kCipherKeyBytes);
  return CipherKey(bytes.Data(), kCipherKeyBytes);
}

uint64_t RandomKey() {
  uint64_t key = 0;
  [[maybe_unused]] const ssize_t size = getrandom(&key, sizeof key, 0);
  assert(size == sizeof key);
  return key;
}

Napi::Value FailureOf(Napi::Env env, const Sockets::Failure& failure) {
  auto object = Napi::Object::New(env);
  object["errno"] = failure.error;
  object["address"] = failure.address;
  object["port"] = static_cast<uint32_t>(failure.port);
  return object;
}

}  // namespace

Napi::Function NativePlane::Define(Napi::Env env) {
  return DefineClass(env, "NativePlane",
                     {InstanceMethod<&NativePlane::Open>("open"),
                      InstanceMethod<&NativePlane::Binds>("binds"),
                      InstanceMethod<&NativePlane::MirrorFdb>("mirrorFdb"),
                      InstanceMethod<&NativePlane::AddNetwork>("addNetwork"),
                      InstanceMethod<&NativePlane::SetSendMtu>("setSendMtu"),
                      InstanceMethod<&NativePlane::RemoveNetwork>("removeNetwork"),
                      InstanceMethod<&NativePlane::AddPort>("addPort"),
                      InstanceMethod<&NativePlane::RemovePort>("removePort"),
                      InstanceMethod<&NativePlane::AddVtep>("addVtep"),
                      InstanceMethod<&NativePlane::FloodVtep>("floodVtep"),
                      InstanceMethod<&NativePlane::MoveVtep>("moveVtep"),
                      InstanceMethod<&NativePlane::ConfigureVtep>("configureVtep"),
                      InstanceMethod<&NativePlane::RemoveVtep>("removeVtep"),
                      InstanceMethod<&NativePlane::SetSendKey>("setSendKey"),
                      InstanceMethod<&NativePlane::ClearSendKey>("clearSendKey"),
                      InstanceMethod<&NativePlane::AddReceiveKey>("addReceiveKey"),
                      InstanceMethod<&NativePlane::RemoveReceiveKey>("removeReceiveKey"),
                      InstanceMethod<&NativePlane::SetPath>("setPath"),
                      InstanceMethod<&NativePlane::ClearPath>("clearPath"),
                      InstanceMethod<&NativePlane::SetUnsealedSources>("setUnsealedSources"),
                      InstanceMethod<&NativePlane::PathTraffic>("pathTraffic"),
                      InstanceMethod<&NativePlane::SetRoute>("setRoute"),
                      InstanceMethod<&NativePlane::ClearRoute>("clearRoute"),
                      InstanceMethod<&NativePlane::SetRelayPeers>("setRelayPeers"),
                      InstanceMethod<&NativePlane::SetHandshakeKeys>("setHandshakeKeys"),
                      InstanceMethod<&NativePlane::SetEnvelopeKeys>("setEnvelopeKeys"),
                      InstanceMethod<&NativePlane::Pin>("pin"),
                      InstanceMethod<&NativePlane::Unpin>("unpin"),
                      InstanceMethod<&NativePlane::SetGateway>("setGateway"),
                      InstanceMethod<&NativePlane::UpdateEndpoints>("updateEndpoints"),
                      InstanceMethod<&NativePlane::Fdb>("fdb"),
                      InstanceMethod<&NativePlane::SendControl>("sendControl"),
                      InstanceMethod<&NativePlane::Close>("close")});
}

NativePlane::NativePlane(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativePlane>(info) {}

NativePlane::~NativePlane() { Stop(); }

Napi::Value NativePlane::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto options = info[0].As<Napi::Object>();
  const auto texts = options.Get("addresses").As<Napi::Array>();
  std::vector<SocketAddress> addresses;
  for (uint32_t i = 0; i < texts.Length(); i++) {
    addresses.push_back(AddressOf(texts.Get(i), Napi::Number::New(env, 0)));
  }
  DataPlaneOptions native;
  native.addresses = addresses;
  native.mesh_port = UdpPort(options.Get("meshPort"));
  native.vxlan_port = UdpPort(options.Get("vxlanPort"));
  native.fdb_capacity = Uint32(options.Get("fdbCapacity"));
  native.fdb_max_age_ms = Uint32(options.Get("fdbMaxAge"));
  native.unknown_unicast_rate = Uint32(options.Get("unknownUnicastRate"));
  native.joins_udp = options.Get("joinsUdp").As<Napi::Boolean>();
  native.threads = Uint32(options.Get("threads"));
  native.hash_key = RandomKey();
  auto* stats = reinterpret_cast<GlobalStats*>(StatsAt(info[1], 0));
  [[maybe_unused]] const napi_status status = napi_create_threadsafe_function(
      env, info[2], nullptr, Napi::String::New(env, "weft control datagrams"), 0, 1, nullptr,
      nullptr, this, OnWake, &wake_);
  assert(status == napi_ok);
  Sockets::Failure failure;
  plane_ = DataPlane::Open(native, *stats, *this, failure);
  if (plane_ != nullptr) return env.Undefined();
  Stop();
  return FailureOf(env, failure);
}

Napi::Value NativePlane::Binds(const Napi::CallbackInfo& info) {
  const auto all = Napi::Array::New(info.Env());
  for (const Bind& bound : plane_->binds()) {
    auto object = Napi::Object::New(info.Env());
    object["meshPort"] = static_cast<uint32_t>(bound.mesh_port);
    object["vxlanPort"] = static_cast<uint32_t>(bound.vxlan_port);
    object["hasGro"] = bound.has_gro;
    object["receiveBufferBytes"] = bound.receive_buffer_bytes;
    all.Set(all.Length(), object);
  }
  return all;
}

void NativePlane::MirrorFdb(const Napi::CallbackInfo& info) {
  const auto object = info[0].As<Napi::Object>();
  fast_path_ = Napi::Persistent(object);
  const FdbMirror& mirror = FastPathBinding::Unwrap(object)->path()->mirror();
  plane_->Observe([&mirror](uint32_t vni) { return mirror.Of(vni); });
}

void NativePlane::AddNetwork(const Napi::CallbackInfo& info) {
  plane_->AddNetwork(Uint32(info[0]), Uint32(info[1]));
}

void NativePlane::SetSendMtu(const Napi::CallbackInfo& info) {
  plane_->SetSendMtu(Uint32(info[0]), Uint32(info[1]));
}

void NativePlane::RemoveNetwork(const Napi::CallbackInfo& info) {
  plane_->RemoveNetwork(Uint32(info[0]));
}

void NativePlane::AddPort(const Napi::CallbackInfo& info) {
  const auto list = info[2].As<Napi::Array>();
  std::vector<int> fds;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value fd = list.Get(i);
    fds.push_back(fd.As<Napi::Number>().Int32Value());
  }
  auto* stats = reinterpret_cast<TrafficStats*>(StatsAt(info[4], Uint32(info[5])));
  plane_->AddPort(Uint32(info[0]), Uint32(info[1]), fds, Uint32(info[3]), stats);
}

void NativePlane::RemovePort(const Napi::CallbackInfo& info) {
  plane_->RemovePort(Uint32(info[0]));
}

void NativePlane::AddVtep(const Napi::CallbackInfo& info) {
  auto* stats = reinterpret_cast<TrafficStats*>(StatsAt(info[5], Uint32(info[6])));
  const bool is_sealed = info[4].As<Napi::Boolean>();
  plane_->AddVtep(Uint32(info[0]), Uint32(info[1]), AddressOf(info[2], info[3]),
                  is_sealed ? Encapsulation::kSealed : Encapsulation::kVxlan, stats,
                  info[7].As<Napi::Boolean>());
}

void NativePlane::FloodVtep(const Napi::CallbackInfo& info) {
  plane_->FloodVtep(Uint32(info[0]), info[1].As<Napi::Boolean>());
}

void NativePlane::MoveVtep(const Napi::CallbackInfo& info) {
  plane_->MoveVtep(Uint32(info[0]), AddressOf(info[1], info[2]));
}

void NativePlane::ConfigureVtep(const Napi::CallbackInfo& info) {
  plane_->ConfigureVtep(Uint32(info[0]), info[1].As<Napi::Boolean>());
}

void NativePlane::RemoveVtep(const Napi::CallbackInfo& info) {
  plane_->RemoveVtep(Uint32(info[0]));
}

void NativePlane::SetSendKey(const Napi::CallbackInfo& info) {
  plane_->SetSendKey(PeerOf(info[0]), CipherOf(info[1]), SealingKeyOf(info[2]), Uint32(info[3]), 0);
}

void NativePlane::ClearSendKey(const Napi::CallbackInfo& info) {
  plane_->ClearSendKey(PeerOf(info[0]));
}

void NativePlane::AddReceiveKey(const Napi::CallbackInfo& info) {
  plane_->AddReceiveKey(PeerOf(info[0]), CipherOf(info[1]), SealingKeyOf(info[2]), Uint32(info[3]));
}

void NativePlane::RemoveReceiveKey(const Napi::CallbackInfo& info) {
  plane_->RemoveReceiveKey(Uint32(info[0]));
}

// An undefined tag: straight to the address.
void NativePlane::SetPath(const Napi::CallbackInfo& info) {
  Path path;
  path.is_set = true;
  path.to = AddressOf(info[1], info[2]);
  path.is_relayed = !info[3].IsUndefined();
  if (path.is_relayed) relay::WriteHeader(path.header.data(), TagOf(info[3]));
  path.is_unsealed = info[4].As<Napi::Boolean>();
  plane_->SetPath(PeerOf(info[0]), path);
}

void NativePlane::ClearPath(const Napi::CallbackInfo& info) {
  plane_->SetPath(PeerOf(info[0]), Path{});
}

// Addresses, and as many ports.
void NativePlane::SetUnsealedSources(const Napi::CallbackInfo& info) {
  const auto addresses = info[1].As<Napi::Array>();
  const auto ports = info[2].As<Napi::Array>();
  std::vector<SocketAddress> sources;
  for (uint32_t i = 0; i < addresses.Length(); i++) {
    sources.push_back(AddressOf(addresses.Get(i), ports.Get(i)));
  }
  plane_->SetUnsealedSources(PeerOf(info[0]), sources);
}

Napi::Value NativePlane::PathTraffic(const Napi::CallbackInfo& info) {
  const DataPlane::PathTraffic traffic = plane_->TrafficOf(PeerOf(info[0]));
  constexpr size_t kColumns = 5;
  auto row = Napi::Float64Array::New(info.Env(), kColumns);
  row[0] = static_cast<double>(traffic.rx_frames);
  row[1] = static_cast<double>(traffic.rx_bytes);
  row[2] = static_cast<double>(traffic.tx_frames);
  row[3] = static_cast<double>(traffic.tx_bytes);
  const bool is_silent = traffic.silent_ms == DataPlane::PathTraffic::kNever;
  row[4] = is_silent ? -1 : static_cast<double>(traffic.silent_ms);
  return row;
}

void NativePlane::SetRoute(const Napi::CallbackInfo& info) {
  plane_->SetRoute(TagOf(info[0]), AddressOf(info[1], info[2]), info[3].As<Napi::Boolean>());
}

void NativePlane::ClearRoute(const Napi::CallbackInfo& info) { plane_->ClearRoute(TagOf(info[0])); }

void NativePlane::SetRelayPeers(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<AddressKey> addresses;
  for (uint32_t i = 0; i < list.Length(); i++) addresses.push_back(PeerOf(list.Get(i)));
  plane_->SetRelayPeers(std::move(addresses));
}

void NativePlane::SetHandshakeKeys(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::span<const uint8_t>> keys;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value item = list.Get(i);
    const auto bytes = item.As<Napi::Uint8Array>();
    keys.emplace_back(bytes.Data(), bytes.ByteLength());
  }
  plane_->SetHandshakeKeys(keys);
}

void NativePlane::SetEnvelopeKeys(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<envelope::MeshKey> keys;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object key = list.Get(i).As<Napi::Object>();
    const auto secret = key.Get("secret").As<Napi::Uint8Array>();
    const auto hint = static_cast<uint8_t>(Uint32(key.Get("hint")));
    keys.push_back({hint, std::span(secret.Data(), secret.ByteLength())});
  }
  plane_->SetEnvelopeKeys(keys);
}

void NativePlane::Pin(const Napi::CallbackInfo& info) {
  plane_->Pin(Uint32(info[0]), MacOf(info[1]), Uint32(info[2]));
}

void NativePlane::Unpin(const Napi::CallbackInfo& info) {
  plane_->Unpin(Uint32(info[0]), MacOf(info[1]));
}

void NativePlane::SetGateway(const Napi::CallbackInfo& info) {
  const auto list = info[2].As<Napi::Array>();
  Gateway gateway;
  const Mac mac = MacOf(info[1]);
  gateway.mac = mac == 0 ? kNoMac : mac;
  gateway.count = list.Length();
  assert(gateway.count <= Gateway::kMaxAddresses);
  for (uint32_t i = 0; i < gateway.count; i++) {
    const Napi::Value item = list.Get(i);
    const auto bytes = item.As<Napi::Uint8Array>();
    gateway.addresses[i] =
        bytes.ByteLength() == 4 ? KeyOfIpv4(LoadBe32(bytes.Data())) : KeyOfIpv6(bytes.Data());
  }
  plane_->SetGateway(Uint32(info[0]), gateway);
}

// Rows as src/dataplane/native/endpoint-rows.ts writes them.
void NativePlane::UpdateEndpoints(const Napi::CallbackInfo& info) {
  constexpr size_t kVtepAt = 8;
  constexpr size_t kFamilyAt = 6;
  constexpr size_t kAddressAt = 16;
  constexpr size_t kRowBytes = 32;
  const auto bytes = info[1].As<Napi::Uint8Array>();
  std::vector<EndpointUpdate> updates(bytes.ByteLength() / kRowBytes);
  const uint8_t* at = bytes.Data();
  for (EndpointUpdate& update : updates) {
    const uint32_t vtep = LoadBe32(at + kVtepAt);
    update.mac = LoadBe48(at);
    update.vtep = vtep == 0 ? nullptr : plane_->VtepAt(vtep);
    update.has_address = at[kFamilyAt] != 0;
    update.address =
        at[kFamilyAt] == 4 ? KeyOfIpv4(LoadBe32(at + kAddressAt)) : KeyOfIpv6(at + kAddressAt);
    at += kRowBytes;
  }
  plane_->UpdateEndpoints(Uint32(info[0]), updates);
}

Napi::Value NativePlane::Fdb(const Napi::CallbackInfo& info) {
  constexpr size_t kColumns = 5;
  const std::vector<FdbRow> rows = plane_->SnapshotFdb(Uint32(info[0]));
  auto table = Napi::Float64Array::New(info.Env(), rows.size() * kColumns);
  double* at = table.Data();
  for (const FdbRow& row : rows) {
    *at++ = static_cast<double>(row.mac);
    *at++ = static_cast<double>(row.age);
    *at++ = row.place_id;
    *at++ = row.is_vtep ? 1 : 0;
    *at++ = row.is_pinned ? 1 : 0;
  }
  return table;
}

void NativePlane::SendControl(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  plane_->SendControl(std::span<const uint8_t>(bytes.Data(), bytes.ByteLength()),
                      AddressOf(info[1], info[2]));
}

void NativePlane::Close(const Napi::CallbackInfo&) { Stop(); }

void NativePlane::Stop() {
  plane_.reset();
  if (wake_ != nullptr) napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  wake_ = nullptr;
}

// On the forwarder's thread: one call is under way at a time, and it takes all that waits.
void NativePlane::Wake() {
  if (is_waking_.exchange(true)) return;
  napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void NativePlane::OnWake(napi_env env, napi_value callback, void* context, void*) {
  auto* self = static_cast<NativePlane*>(context);
  if (env == nullptr || self->plane_ == nullptr) return;
  self->DeliverControl(env, Napi::Function(env, callback));
}

void NativePlane::DeliverControl(Napi::Env env, Napi::Function callback) {
  is_waking_.store(false);
  plane_->DrainControl([&](std::span<const uint8_t> bytes, const SocketAddress& from) {
    const Napi::HandleScope scope(env);
    const TextAddress sender = FormatAddress(from);
    callback.Call({Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size()),
                   Napi::String::New(env, sender.address), Napi::Number::New(env, sender.port)});
  });
}

StatSlot* NativePlane::StatsAt(const Napi::Value& slots, uint32_t index) {
  auto array = slots.As<Napi::BigUint64Array>();
  for (const auto& known : stats_) {
    if (known.Value().Data() == array.Data()) return array.Data() + index;
  }
  stats_.push_back(Napi::Persistent(array));
  return array.Data() + index;
}

}  // namespace weft
