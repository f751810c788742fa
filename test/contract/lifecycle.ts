import { until } from '../fakes/until.ts';
import {
  acquaint,
  type Contract,
  expectDrops,
  frame,
  type Lab,
  MTU,
  station,
  VNI,
} from './hosts.ts';

/** Opening, closing, and what is left afterwards. */
export function lifecycleContract(contract: Contract, lab: Lab): void {
  contract('it says what it is and where it listens', async (t) => {
    const { description, meshAddress, vxlanAddress } = await lab.plane(t, '127.0.0.1');
    t.regex(description.kind, /^(portable|native)$/);
    t.true(Object.keys(description.features).length > 0);
    t.deepEqual([meshAddress.address, vxlanAddress.address], ['127.0.0.1', '127.0.0.1']);
    t.true(meshAddress.port > 0 && vxlanAddress.port > 0);
    t.not(meshAddress.port, vxlanAddress.port);
  });

  contract('a port in use is E_BIND, and nothing stays bound behind it', async (t) => {
    const a = await lab.plane(t, '127.0.0.1');
    const other = await lab.plane(t, '127.0.0.1');
    const free = other.meshAddress.port;
    await other.close();
    const taken = a.vxlanAddress.port;
    await t.throwsAsync(lab.plane(t, '127.0.0.1', { meshPort: free, vxlanPort: taken }), {
      code: 'E_BIND',
      message: new RegExp(`UDP port ${taken} on 127\\.0\\.0\\.1`),
    });
    const again = await lab.plane(t, '127.0.0.1', { meshPort: free });
    t.is(again.meshAddress.port, free);
  });

  contract('an address of no interface is E_BIND, and what is no address is refused', async (t) => {
    await t.throwsAsync(lab.plane(t, '192.0.2.77'), { code: 'E_BIND', message: /192\.0\.2\.77/ });
    await t.throwsAsync(lab.plane(t, 'eth0'), { code: 'E_ADDRESS_INVALID', message: /eth0/ });
  });

  contract('close frees ports at once, closes devices and delivers nothing more', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    await acquaint(a, b);
    let heard = 0;
    a.plane.control.onReceive(() => heard++);
    await Promise.all([a.plane.close(), a.plane.close()]);
    t.true(a.device.isClosed());
    const { meshAddress, vxlanAddress } = a.plane;
    const before = a.device.received().length;
    const ports = { meshPort: meshAddress.port, vxlanPort: vxlanAddress.port };
    const next = await lab.plane(t, '127.0.0.1', ports);
    const heardByNext: number[] = [];
    next.control.onReceive((bytes) => heardByNext.push(bytes[0]!));
    b.device.inject(frame(station(2), station(1), 'too late'));
    b.plane.control.send(Buffer.from([1]), meshAddress);
    await expectDrops(t, next, { vxlan_vni_unknown: 1 });
    await until(() => heardByNext.length === 1, 'the control datagram reaches the next plane');
    t.deepEqual([a.device.received().length, heard], [before, 0]);
  });

  contract('after close every call does nothing, and a device handed over is closed', async (t) => {
    const { plane, port } = await lab.host(t, '127.0.0.1');
    await plane.close();
    plane.addNetwork(VNI, { mtu: MTU });
    const late = lab.device();
    plane.addPort(VNI, late.device);
    await until(() => late.isClosed(), 'the device is closed');
    plane.addVtep(VNI, { address: '192.0.2.1', port: 4789 });
    plane.addLocalMac(VNI, station(1), port);
    plane.removeLocalMac(VNI, station(1));
    plane.removePort(port);
    plane.removeVtep(VNI, '192.0.2.1');
    plane.removeNetwork(VNI);
    plane.control.send(Buffer.from([1]), { address: '127.0.0.1', port: 9 });
    t.deepEqual(plane.fdb(VNI), []);
    t.deepEqual([plane.counters().ports, plane.counters().vteps], [[], []]);
    await t.notThrowsAsync(plane.close());
  });
}
