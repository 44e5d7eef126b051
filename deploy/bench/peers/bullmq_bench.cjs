// Measures BullMQ with 64 jobs at a time, for the benchmark.
//
//   node bullmq_bench.cjs REDIS_URL TASKS PICKUPS    writes one line of JSON: tasks/s, tasks/s, ms
//   node bullmq_bench.cjs --check                    succeeds when all is installed
"use strict";

const { Queue, Worker } = require("bullmq");
require("ioredis"); // bullmq loads it when it connects: --check is to miss it earlier

const PRODUCERS = 64;
const SLOTS = 64;
const seconds = (begun) => Number(process.hrtime.bigint() - begun) / 1e9;

function connectionOf(text) {
  const url = new URL(text);
  return { host: url.hostname, port: Number(url.port), db: Number(url.pathname.slice(1) || 0), maxRetriesPerRequest: null };
}

async function enqueue(queue, tasks) {
  let next = 0;
  const begun = process.hrtime.bigint();
  await Promise.all(
    Array.from({ length: PRODUCERS }, async () => {
      while (next < tasks) {
        await queue.add("noop", { n: next++ }, { removeOnComplete: true });
      }
    }),
  );
  return tasks / seconds(begun);
}

async function run(connection, tasks) {
  let done = 0;
  const begun = process.hrtime.bigint();
  const worker = new Worker("bench", async () => {}, { connection, concurrency: SLOTS });
  await new Promise((resolve) => {
    worker.on("completed", () => {
      if (++done === tasks) resolve();
    });
  });
  const rate = tasks / seconds(begun);
  await worker.close();
  return rate;
}

async function pickups(queue, connection, times) {
  let started;
  const worker = new Worker("bench", async () => started(process.hrtime.bigint()), { connection, concurrency: SLOTS });
  await worker.waitUntilReady();
  const taken = [];
  for (let i = 0; i <= times; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5 + 20 * Math.random()));
    const begun = process.hrtime.bigint();
    const at = new Promise((resolve) => (started = resolve));
    await queue.add("noop", { n: i }, { removeOnComplete: true });
    taken.push(Number((await at) - begun) / 1e6);
  }
  await worker.close();
  return taken.slice(1).sort((a, b) => a - b)[Math.floor(times / 2)]; // the first made the connections
}

async function main(url, tasks, times) {
  const connection = connectionOf(url);
  const queue = new Queue("bench", { connection });
  const rates = { enqueue: await enqueue(queue, tasks) };
  rates.run = await run(connection, tasks);
  rates["pickup-p50"] = await pickups(queue, connection, times);
  await queue.close();
  console.log(JSON.stringify(rates));
}

if (process.argv[2] !== "--check") {
  main(process.argv[2], Number(process.argv[3]), Number(process.argv[4])).catch((err) => {
    console.error(err);
    process.exit(1);
  });
}
