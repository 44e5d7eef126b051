// Package schedule says what a periodic task is: the entries of a YAML file of schedules, checked against the catalog, and
// the rules by which they tick. Schedulers run entries (package beat), and the API checks and shows them; both read them
// with this package.
//
// # Rules
//
// An entry has a period, a cron rule or a single time. Ticks are whole seconds, and a function of the rule alone, so that all
// schedulers agree on them without talking.
//
//   - every: the Unix times that are multiples of the period (whole seconds, 1 s to 366 days). "every: 1h" ticks on the
//     full hour of UTC, whenever the scheduler was started.
//   - cron: five fields (minute hour day-of-month month day-of-week) with names, lists, ranges and steps, or @hourly,
//     @daily, @midnight, @weekly, @monthly, @yearly, @annually, in the entry's time zone. Both 0 and 7 are Sunday, and a
//     range may wrap ("fri-mon", "22-2"). As in every crontab, a day matches when day-of-month *or* day-of-week does if
//     both are given, and when both do if one of them begins with "*".
//   - at: one time.
//
// A period that divides a day may be anchored to local time: it then ticks at the local times that are its multiples since
// midnight. From and until bound the ticks. Jitter moves each tick by less than the time to the next one, by a function of the
// entry's name and the tick.
//
// # File and table
//
// Operators make entries in a table of the database, and override those of the file there. Merge makes one schedule of both.
//
// # Changes of local time
//
// A rule that runs in every hour (its hour field matches all 24) ticks by real time, straight through both changes:
// "*/5 * * * *" ticks each five minutes, also in the hour that the clock shows twice. Any other rule ticks once for
// each local time that it names: one that the clock skips ticks at the first moment after the gap (several skipped
// times share this one tick), and one that the clock shows twice ticks the first time only. This is the behaviour
// that cron's manual describes (ISC cron, cronie), applied to every rule with gaps of more than an hour.
package schedule
