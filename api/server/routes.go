package server

import "net/http"

// routes are the operations of the framework's part of the contract, openapi.yaml.
func (s *Server) routes() []Route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []Route{
		{Method: get, Path: "/v1/task-types", Handler: s.listTaskTypes, Who: Observers},
		{Method: get, Path: "/v1/tasks", Handler: s.searchTasks, Who: Observers, Query: searchParams},
		{Method: get, Path: "/v1/failures", Handler: s.listFailures, Who: Observers, Query: []string{"window", "task", "queue", "limit", "cursor"}},
		{Method: post, Path: "/v1/tasks", Handler: s.createTask, Who: Operators, Body: true, enqueues: true},
		{Method: post, Path: "/v1/tasks/batch", Handler: s.createTasks, Who: Operators, Body: true, MaxBody: maxBatchBody, enqueues: true},
		{Method: get, Path: "/v1/tasks/:id", Handler: s.oneTask, Who: AnyoneOrOperator, Timeout: maxWait + DefaultTimeout, Query: []string{"wait"}},
		{Method: del, Path: "/v1/tasks/:id", Handler: s.revokeTask, Who: Operators, Query: []string{"terminate", "reason"}},
		{Method: del, Path: "/v1/tasks", Handler: s.revokeTasks, Who: Operators, Timeout: manyTimeout, Query: []string{"tag", "terminate", "reason"}, subjects: []string{"tag"}},
		{Method: post, Path: "/v1/tasks/:id/retry", Handler: s.retryTask, Who: Operators},
		{Method: get, Path: "/v1/tasks/:id/why", Handler: s.whyTask, Who: Observers},
		{Method: post, Path: "/v1/bulk", Handler: s.startBulk, Who: Operators, Body: true, Timeout: manyTimeout},
		{Method: get, Path: "/v1/bulk/:id", Handler: s.oneBulk, Who: Operators},
		{Method: del, Path: "/v1/bulk/:id", Handler: s.stopBulk, Who: Operators},
		{Method: get, Path: "/v1/queues", Handler: s.listQueues, Who: Observers, Query: []string{"limit", "cursor"}},
		{Method: get, Path: "/v1/queues/:name", Handler: s.oneQueue, Who: Observers},
		{Method: post, Path: "/v1/queues/:name/pause", Handler: s.pauseQueue, Who: Operators},
		{Method: post, Path: "/v1/queues/:name/resume", Handler: s.resumeQueue, Who: Operators},
		{Method: post, Path: "/v1/queues/:name/purge", Handler: s.purgeQueue, Who: Operators, Body: true, Timeout: manyTimeout},
		{Method: post, Path: "/v1/queues/:name/retry", Handler: s.retryQueue, Who: Operators, Timeout: manyTimeout},
		{Method: get, Path: "/v1/queues/:name/dead", Handler: s.deadLetters, Who: Observers, Query: []string{"limit", "cursor"}},
		{Method: get, Path: "/v1/tasks/:id/events", Handler: s.taskEvents, Who: AnyoneOrOperator, Timeout: maxStream},
		{Method: get, Path: "/v1/schedules", Handler: s.listSchedules, Who: Observers, Query: []string{"limit", "cursor"}},
		{Method: post, Path: "/v1/schedules", Handler: s.createSchedule, Who: Operators, Body: true},
		{Method: post, Path: "/v1/schedules/preview", Handler: s.previewSchedule, Who: Observers, Body: true},
		{Method: get, Path: "/v1/schedules/:name", Handler: s.oneSchedule, Who: Observers},
		{Method: http.MethodPut, Path: "/v1/schedules/:name", Handler: s.replaceSchedule, Who: Operators, Body: true},
		{Method: del, Path: "/v1/schedules/:name", Handler: s.deleteSchedule, Who: Operators},
		{Method: post, Path: "/v1/schedules/:name/pause", Handler: s.pauseSchedule, Who: Operators},
		{Method: post, Path: "/v1/schedules/:name/resume", Handler: s.resumeSchedule, Who: Operators},
		{Method: post, Path: "/v1/schedules/:name/run", Handler: s.runSchedule, Who: Operators, Timeout: runWait + DefaultTimeout},
		{Method: get, Path: "/v1/schedules/:name/ticks", Handler: s.scheduleTicks, Who: Observers, Query: []string{"limit", "cursor"}},
		{Method: get, Path: "/v1/audit", Handler: s.listActs, Who: Operators, Query: auditParams},

		{Method: get, Path: "/v1/workers", Handler: s.listWorkers, Who: Observers, Query: []string{"limit", "cursor"}},
		{Method: get, Path: "/v1/workers/:name", Handler: s.oneWorker, Who: Observers},
		{Method: post, Path: "/v1/workers/:name/resize", Handler: s.resizeWorker, Who: Operators, Body: true, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/:name/queues", Handler: s.setWorkerQueues, Who: Operators, Body: true, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/:name/log-level", Handler: s.setWorkerLogLevel, Who: Operators, Body: true, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/:name/pause", Handler: s.pauseWorker, Who: Operators, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/:name/resume", Handler: s.resumeWorker, Who: Operators, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/:name/drain", Handler: s.drainWorker, Who: Operators, Timeout: commandTimeout, Query: commandParams},
		{Method: post, Path: "/v1/workers/ping", Handler: s.pingWorkers, Who: Operators, Timeout: commandTimeout, Query: commandParams},

		{Method: get, Path: healthPath, Handler: s.healthz, Ungated: true},
		{Method: get, Path: docsPath, Handler: s.docs, Ungated: true, AnyQuery: true},
		{Method: get, Path: docsPath + "/*", Handler: s.docs, Ungated: true, AnyQuery: true},
		{Method: get, Path: specPath, Handler: s.contract, Ungated: true, AnyQuery: true},
	}
}
