/**
 * Counts what happens with previews by Segment.
 *
 * @packageDocumentation
 */
export { segmentAnalytics, SegmentFailure } from './segment-analytics.ts';
export type { SegmentAnalyticsOptions } from './segment-analytics.ts';
