// Package server is the HTTP API of a program's tasks: call, batch, search, wait and follow, revoke, retry, dead letters, task
// types and schedules, with /healthz and /docs. A program adds routes of its own, which get the same middleware and answer in
// the same envelope: see Application, and the package's example. The shop in api/shop is one.
//
// Begin with routes.go, which lists every route with its handler, and with New in server.go, which puts the steps below in
// front of each. The contract with clients is openapi.yaml, with the application's part added; tests hold every answer
// against it.
//
// # What a handler finds here
//
//   - Body reads and checks a JSON body; PathID and QueryInt read parameters; IdentityOf says who asks, LanguageOf in which
//     language.
//   - OK, Queued, and Answer for other codes. CachedList and SendEncoded answer from a cache, with an ETag.
//   - Errors are returned: BadRequest, NotFound, Missing and so on make a Failure, Textf its message in both languages.
//     Application.Explain knows the errors of the packages below.
//
// # The files, by their beginning
//
//   - app_ and app.go: what an application adds. app.go, app_route.go, and app_contract.go, which merges the contracts.
//   - http_: what all routes share. Requests: http_middleware.go, http_request.go (state and context of a request), http_auth.go
//     (who may use a route), http_audit.go (who did what), http_input.go (parameters and bodies that a route does not take), http_decode.go and
//     http_validate.go (bodies), http_params.go.
//     Answers: http_envelope.go, http_encode.go, http_cached_list.go (with an ETag), http_errors.go (each error's status and
//     text), http_text.go (Chinese and English), http_headers.go. Also metrics, the log, health, the documentation, and the
//     files of Application.Web.
//   - limit_: who has to wait, and who is refused. limit_rates.go counts by user and address, limit_overload.go by the load of a
//     route, limit_waits.go the requests that wait for tasks. limit_pacer.go delays refusals.
//   - longpoll_: requests that wait for a task. longpoll_wait.go answers ?wait=, longpoll_events.go streams server-sent events.
//     longpoll.go takes the connection of a request that waits long from net/http, whose goroutines and buffers take 35 KiB
//     for each. So 10,000 waiting clients cost the process 182 MiB in all (row waiters of deploy/docs/benchmarks.md).
//   - queue_: queues: how they stand, pause, resume, purge.
//   - schedule_: schedules: list, change, run now, ticks, preview. schedule_list.go joins what schedulers have announced with what the
//     table has.
//   - task_: tasks: call, batch, revoke, retry, search.
//   - operator_: keys of operators and observers. audit.go lists what they did.
//   - worker_: workers: list, and commands to them.
//
// Handlers only translate between HTTP and the packages under tasks/. There is no SQL and no Redis command here.
//
// # One request's way
//
//  1. Handler removes a slash at the path's end, and Echo finds the route.
//  2. middleware (http_middleware.go) makes the request's state: its id, its language, its start. It also recovers panics.
//  3. withTimeout sets the deadline of the request's context.
//  4. authorize (http_auth.go) looks for the key and asks Application.Identify, if the route is not for anyone.
//  5. checkInput (http_input.go) refuses unknown parameters, and a body that the route does not take.
//  6. limitRate (limit_rates.go) refuses a user or an address that sends too many requests.
//  7. limitLoad (limit_overload.go) waits for the request's turn. A request with a body waits in Body (http_decode.go) instead,
//     after the body is read.
//  8. The handler reads the body and the parameters, calls the packages below, and answers.
//     Of an act the audit log is told before, and by recordAct (http_audit.go) afterwards, whichever step has refused it.
//  9. If any of them returns an error, fail (http_errors.go) turns it into an answer. An unknown error is a 500 without its text.
//  10. observe (http_middleware.go) adds the request to the metrics, and to the log if it failed or was slow.
//
// # Without a store
//
// Options.History and Options.Ticks may be nil, as in a program without a database or without schedulers. GET /v1/tasks and
// GET /v1/schedules then answer 501 and say what there is not; what Redis has forgotten is a 404. A durable task, which needs
// the outbox of Options.Tasks, is a 400 with the field durable. Without Options.Schedules, changes of schedules are a 501. Without Options.Audit, or without its database, acts are in the
// log alone, and GET /v1/audit is a 501.
//
// # Goroutines
//
// A request runs in the goroutine of net/http. A long poll moves to a goroutine of its own (Server.longpoll), which owns the
// connection and closes it. The package has no other goroutines.
package server
