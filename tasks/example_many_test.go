package tasks_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/tasks"
)

// Many calls take few round trips together. One that is refused does not keep back the others.
func ExampleEnqueueMany() {
	onEmbedded(func(ctx context.Context, c *tasks.Client) {
		made := tasks.EnqueueMany(ctx, c, []tasks.Signature{
			sendMail.Signature(mail{"li@example.com"}, tasks.ID("mail-1")),
			sendMail.Signature(mail{"wang@example.com"}, tasks.ID("mail-1")),
			sendMail.Signature(mail{"zhao@example.com"}, tasks.Tags("two words")),
			noteLoss.Signature(mail{"li@example.com"}, tasks.ID("loss-1")),
		})
		for _, e := range made {
			var wrong *tasks.OptionError
			switch {
			case e.Err == nil:
				fmt.Println(e.ID, "is enqueued")
			case errors.Is(e.Err, tasks.ErrDuplicate):
				fmt.Println(e.ID, "was there already")
			case errors.As(e.Err, &wrong):
				fmt.Println("refused for its", wrong.Field)
			}
		}
	})
	// Output:
	// mail-1 is enqueued
	// mail-1 was there already
	// refused for its tags
	// loss-1 is enqueued
}
