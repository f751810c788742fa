/** Values that a person need not give, shared by the daemon and its clients. */

/** Where the daemon listens for commands. */
export const DEFAULT_SOCKET = '/run/weft/weft.sock';

/** Where Docker looks for a plugin of the name weft. */
export const DEFAULT_DOCKER_PLUGIN = '/run/docker/plugins/weft.sock';

/** UDP and TCP port of gossip and sealed frames. */
export const DEFAULT_MESH_PORT = 7783;

/** UDP port of plain VXLAN (IANA). */
export const DEFAULT_VXLAN_PORT = 4789;

/** Longest path of a unix socket, in bytes: sun_path of sockaddr_un less its ending zero (unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;
