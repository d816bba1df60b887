import { CodedError } from '../core/errors.ts';

export type StorageErrorCode = 'database-unusable' | 'database-newer' | 'record-corrupt' | 'storage-full';

export class StorageError extends CodedError<StorageErrorCode> {}
