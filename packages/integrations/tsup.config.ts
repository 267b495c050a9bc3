import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    'aws-kms': 'src/aws-kms/index.ts',
    packer: 'src/packer/index.ts',
    'pipeline-http': 'src/pipeline-http/index.ts',
  },
  format: ['esm'],
  target: 'node22',
  dts: true,
  clean: true,
  treeshake: true,
});
