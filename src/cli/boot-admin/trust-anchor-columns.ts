import { type Column, formatTime } from './table.ts';

const SHOWN_DIGITS = 16;

/** Of what the server has and of what `check` finds alike. */
export const ANCHOR_COLUMNS: readonly Column[] = [
  ['SHA-256', (anchor) => String(anchor.sha256).slice(0, SHOWN_DIGITS)],
  ['ROLE', (anchor) => anchor.role],
  ['STATUS', (anchor) => anchor.status],
  ['VENDOR', (anchor) => anchor.vendor],
  ['ENDS (UTC)', (anchor) => formatTime(anchor.endsAt)],
  ['SUBJECT', (anchor) => anchor.subject],
  ['NOTES', (anchor) => (Array.isArray(anchor.notes) && anchor.notes.join('; ')) || undefined],
];
