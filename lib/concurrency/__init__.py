"""What asyncio needs beside itself: locks, threads, batches and circuit breakers of one process."""
