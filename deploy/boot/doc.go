// Package boot makes programs of an App: it starts, drains and stops them. Main is for a whole program with subcommands,
// Command for one of them, and API, Worker, Scheduler and Local run one until a context ends. Beside the applications it is
// the one package that reads the configuration: every other package takes what it needs as arguments.
//
// Read app.go first, which says what an application is, and then boot.go: it opens the stores, assembles the parts of a
// program, and runs them until one fails or a signal comes. The other files are grouped by how their names begin:
//
//	app_      what an application's Open adds to a program
//	program_  one file a program, which names its parts; their command lines; the subcommands for the database
//	env_      what the parts of a program share: stores, outbox, history, the limits of connections
//	http_     an HTTP server that bounds its connections and drains, its certificate, and the admin endpoints
//	run_      what every command has: signals, exit codes, the group of parts, waiting for stores, logging, the version
//
// Each part of a Group has one goroutine. Group.Run, on the goroutine of the command, starts them all and stops them in
// the order in which they were added: what takes work in first, the admin server last; then the stores are closed.
package boot
