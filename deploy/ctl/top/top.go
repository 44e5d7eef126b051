// Package top is the operator's screen: queues with their rates, workers, what runs and what fails, on a terminal.
//
// model.go is the state and how it changes with what comes: keys, answers, the clock. fetch.go asks the API, view.go draws, and
// screens.go has what each of the four screens shows. One goroutine, Bubble Tea's, owns the model; the functions of fetch.go
// run on others and only return messages.
package top

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// Run shows the screen until the user leaves it or ctx ends. The terminal is then as it was before.
func Run(ctx context.Context, api *remote.Client, to show.Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is being asked for ends with the screen
	program := tea.NewProgram(newModel(ctx, api, to.Colour, time.Now),
		tea.WithInput(to.In), tea.WithOutput(to.Out), tea.WithoutSignalHandler())
	// Quit ends it in the order in which a key does. tea.WithContext would end it while its own goroutines still use the terminal.
	defer context.AfterFunc(ctx, program.Quit)()
	if _, err := program.Run(); err != nil {
		return fmt.Errorf("top: %w", err)
	}
	return nil
}
