/** End-to-end tests: root, network namespaces and real devices, one file after another. */
export default {
  files: ['dist/test/e2e/**/*.test.js'],
  workerThreads: false,
  serial: true,
  concurrency: 1,
  timeout: '5m',
  nodeArguments: ['--enable-source-maps'],
};
