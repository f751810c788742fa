import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../bench/lib/process.ts';

const BUSYBOX = '/bin/busybox';

/**
 * Makes an archive of an OCI image (image-spec, layout 1.0.0) that holds a static busybox and sleeps, and
 * returns its path; `name` is what it is called once it is imported.
 */
export async function makeImage(directory: string, name: string): Promise<string> {
  const work = join(directory, 'image');
  const blobs = join(work, 'layout/blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  mkdirSync(join(work, 'root/bin'), { recursive: true });
  mkdirSync(join(work, 'root/etc'));
  copyFileSync(BUSYBOX, join(work, 'root/bin/busybox'));
  const layer = join(work, 'layer.tar');
  await run('tar', ['--owner=0', '--group=0', '-C', join(work, 'root'), '-cf', layer, '.']);

  const put = (mediaType: string, bytes: Buffer) => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hash), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const type = 'application/vnd.oci.image';
  const tar = put(`${type}.layer.v1.tar`, readFileSync(layer));
  const config = put(
    `${type}.config.v1+json`,
    json({
      ...{ architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' },
      config: { Entrypoint: ['/bin/busybox'], Cmd: ['sleep', '100000'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [tar.digest] },
    }),
  );
  const manifest = put(
    `${type}.manifest.v1+json`,
    json({ schemaVersion: 2, mediaType: `${type}.manifest.v1+json`, config, layers: [tar] }),
  );
  const annotations = {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name,
  };
  const layout = join(work, 'layout');
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  writeFileSync(join(layout, 'index.json'), json(index));
  writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  const archive = join(directory, 'image.tar');
  await run('tar', ['-C', layout, '-cf', archive, '.']);
  rmSync(work, { recursive: true });
  return archive;
}
