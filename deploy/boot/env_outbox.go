package boot

import (
	"fmt"

	"github.com/paidui/paidui/tasks/outbox"
)

// openOutbox makes the outbox of the database, which must be migrated: from then on the program's tasks can commit with
// its data.
func (e *Env) openOutbox() error {
	opt := outbox.Options{Logger: e.Logger, Registerer: e.Registry}
	if e.history != nil {
		opt.Written = e.history.Written
	}
	ob, err := outbox.New(e.Stores.DB, e.Client, opt)
	if err != nil {
		return err
	}
	if err := e.Stores.DB.Use(ob); err != nil {
		return fmt.Errorf("open the outbox: %w", err)
	}
	e.outbox = ob
	return nil
}

// addOutbox has the outbox sent by this program too. It stops after the parts that fill it.
func (e *Env) addOutbox() { e.group.Add("outbox", e.outbox.Run) }
