package format

// WorkerKey is the record of the worker that has the life: a WorkerRecord as JSON, which expires unless a beat renews it.
// On a Redis Cluster it has a slot of its own.
func WorkerKey(life string) string { return "paidui:worker:" + life }

// WorkerRecord is what a worker tells of itself. Builds to come may add fields; a reader skips those that it does not know.
type WorkerRecord struct {
	Name   string         `json:"name"`
	Queues map[string]int `json:"queues"` // weight by queue
	Tasks  []string       `json:"tasks"`  // names of those that it has handlers for
}
