import { CodedError } from '../../core/errors.ts';

export class UsageError extends CodedError<'usage'> {
  constructor(message: string) {
    super('usage', message);
  }
}
