// ONNX Runtime 1.30 for Linux and macOS collects usage data by default: it keeps a device id in the user's cache folder,
// writes to the temporary folder and uploads. A database has no business doing that. It reads this variable when the
// first session starts; worker threads and child processes see what the main thread has set by then.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
