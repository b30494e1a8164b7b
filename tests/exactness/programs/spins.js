// V8's profiler interrupts its thread by SIGPROF, and asks where it was.
const fs = require('fs');
function makesCalls(until) {
  let count = 0;
  while (Date.now() < until) for (let i = 0; i < 50; i++) count += fs.statSync('/').mode ? 1 : 0;
  return count;
}
function computes(until) {
  let sum = 0;
  while (Date.now() < until) for (let i = 0; i < 100000; i++) sum = (sum * 31 + i) % 1000003;
  return sum;
}
makesCalls(Date.now() + 600);
computes(Date.now() + 400);
console.log('done');
