import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Time and chance enter through `Clock` and `Rng` (src/base): elsewhere these names are errors. */
const timeAndChance = {
  'no-restricted-globals': [
    'error',
    ...['performance', 'setTimeout', 'setInterval', 'setImmediate'].map((name) => ({
      name,
      message: 'Take a Clock from src/base/clock.ts.',
    })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'Take a Clock from src/base/clock.ts.' },
    { object: 'Math', property: 'random', message: 'Take an Rng from src/base/rng.ts.' },
  ],
};

export default tseslint.config(
  { ignores: ['dist', 'build', '**/build', 'coverage', 'node_modules', 'src/gossip/generated'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  { files: ['src/**/*.ts'], ignores: ['src/base/**'], rules: timeAndChance },
  {
    // Byte codecs and the hot path check a length once at the door; after it an index can't miss.
    files: [
      'src/{wire,encap,dataplane}/**/*.ts',
      'test/{wire,encap,dataplane,contract}/**/*.ts',
      'bench/micro/**/*.ts',
    ],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
