import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    'aws-kms': 'src/aws-kms/index.ts',
    'aws-sqs': 'src/aws-sqs/index.ts',
    github: 'src/github/index.ts',
    packer: 'src/packer/index.ts',
    'pipeline-http': 'src/pipeline-http/index.ts',
    'runtime-http': 'src/runtime-http/index.ts',
    segment: 'src/segment/index.ts',
  },
  format: ['esm'],
  target: 'node22',
  dts: true,
  clean: true,
  treeshake: true,
});
