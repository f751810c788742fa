/** Unit tests: no root, no devices, no real time. Compiled by `npm run build`. */
export default {
  files: ['dist/test/**/*.test.js', '!dist/test/e2e/**'],
  workerThreads: false,
  timeout: '2m',
  nodeArguments: ['--enable-source-maps'],
};
