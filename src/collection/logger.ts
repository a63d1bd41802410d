/** The part of a logger that the database needs; pino's fits. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const SILENT: Logger = { info: () => {}, warn: () => {}, error: () => {} };
