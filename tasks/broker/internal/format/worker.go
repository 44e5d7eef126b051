package format

import (
	"encoding/json"
	"strings"
)

// WorkerKey is the record of the worker that has the life: a WorkerRecord as JSON, which expires unless it is renewed.
// On a Redis Cluster it has a slot of its own.
func WorkerKey(life string) string { return "paidui:worker:" + life }

// WorkerQueuesKey is the set of the queues that workers have served, also of those that never had a task. Workers add theirs
// whenever they write their record.
const WorkerQueuesKey = "paidui:worker-queues"

// CommandsKey is the hash of the commands that wait for the worker that has the life, by their ids. A value is when the
// command ends to count (ms, by Redis's clock), a space, and a Command as JSON.
func CommandsKey(life string) string { return "paidui:commands:{" + LifeTag(life) + "}:" + life }

// CommandAnswerKey is a worker's answer to the command of the id, an Answer as JSON. It shares the slot of CommandsKey.
func CommandAnswerKey(life, id string) string {
	return "paidui:answer:{" + LifeTag(life) + "}:" + life + ":" + id
}

// LifeTag is the part of a life's name that no other life has: a plain word, whatever the worker's name is.
func LifeTag(life string) string { return life[strings.LastIndexByte(life, '|')+1:] }

// WorkerRecord is what a worker tells of itself. Builds to come may add fields; a reader skips those that it does not know.
// Of earlier builds it has the first three alone.
type WorkerRecord struct {
	Name   string         `json:"name"`
	Queues map[string]int `json:"queues"` // weight by queue
	Tasks  []string       `json:"tasks"`  // names of those that it has handlers for

	Host     string       `json:"host,omitempty"`
	PID      int          `json:"pid,omitempty"`
	Version  string       `json:"version,omitempty"` // of its program
	Started  int64        `json:"started,omitempty"` // ms, by its clock, as all times here
	Phase    string       `json:"phase,omitempty"`
	Slots    int          `json:"slots,omitempty"`
	Running  int          `json:"running,omitempty"` // tasks that it has begun and not acknowledged
	Runs     []RunningRun `json:"runs,omitempty"`    // of these the ones that have run longest, at most MaxRuns
	LogLevel string       `json:"log_level,omitempty"`
	Commands bool         `json:"commands,omitempty"` // it takes commands
	Life     int64        `json:"life_ms,omitempty"`  // how long it may be silent
}

// MaxRuns bounds the Runs of a record.
const MaxRuns = 256

// RunningRun is a task that runs in one of a worker's slots.
type RunningRun struct {
	Queue    string          `json:"queue"`
	ID       string          `json:"id"`
	Task     string          `json:"task"`
	Attempt  int             `json:"attempt"` // 1 is the first
	Since    int64           `json:"since"`
	Deadline int64           `json:"deadline,omitempty"` // when its context ends; 0 is that it is not known
	Progress json.RawMessage `json:"progress,omitempty"` // what the handler reported last; never of an encrypted task
}

// The phases of a worker.
const (
	PhaseServing  = "serving"
	PhasePaused   = "paused"   // it takes no tasks until it is resumed
	PhaseDraining = "draining" // it takes no tasks any more, and ends when those that run have
)

// Command is what somebody asks of one worker.
type Command struct {
	ID     string         `json:"id"`
	Do     string         `json:"do"`
	Slots  int            `json:"slots,omitempty"`  // of CommandResize
	Queues map[string]int `json:"queues,omitempty"` // of CommandQueues
	Level  string         `json:"level,omitempty"`  // of CommandLogLevel
}

// What a Command may ask to do. Each states how the worker is to be, so that a repetition changes nothing.
const (
	CommandPing     = "ping"
	CommandResize   = "resize"
	CommandQueues   = "queues"
	CommandPause    = "pause"
	CommandResume   = "resume"
	CommandDrain    = "drain"
	CommandLogLevel = "log-level"
)

// Bounds of what commands set.
const (
	MaxSlots  = 10_000
	MaxServed = 1_000 // queues of one worker
	MaxWeight = 1_000_000
)

// LogLevels are the words for levels of a log.
var LogLevels = []string{"debug", "info", "warn", "error"}

// Answer is what a worker says to a command when it has taken effect, or is refused.
type Answer struct {
	Command Command       `json:"command"`
	Refusal string        `json:"refusal,omitempty"` // why it was refused, one of the words below
	Worker  *WorkerRecord `json:"worker,omitempty"`  // how the worker is now, without its Tasks and Runs
}

// Why a worker refuses a command.
const (
	RefusedDraining = "draining" // it drains, or ends
	RefusedLevel    = "no-level" // its log has no level that can be set
	RefusedFixed    = "fixed"    // its number of slots can't change
	RefusedUnknown  = "unknown"  // it does not know the command, or its values
)
