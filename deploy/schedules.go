// Package deploy holds what is shipped beside the programs.
package deploy

import _ "embed"

//go:embed schedules.yaml
var schedules string

// Schedules is the shipped file of schedules, for programs that run where it is not.
func Schedules() []byte { return []byte(schedules) }
