// Two copies of core in one process: a tree that was not deduplicated, or an application beside a plugin.
import assert from 'node:assert/strict';
import * as one from '@vivarium/core';
import * as other from 'core-again';

assert.notEqual(one.NotFound, other.NotFound, 'these are not two copies');
assert.ok(one.isVivariumError(new other.NotFound('project', 'x')));
assert.ok(other.isVivariumError(new one.NotFound('project', 'x')));
assert.ok(!one.isVivariumError(Object.assign(new Error('no such project'), { code: 'not_found' })));
