package outbox

import (
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Each calls f for every task of a name that tx sees in the outbox, in no order: those that committed and have not ended,
// or whose end the outbox has not noted yet; those that were given up are among them. A row that can't be read is left out,
// as it never runs. It reads most rows, and reports whether there are more. Rows are read one after the other, so f must not
// use tx; its error ends the reading and is returned.
func Each(tx *gorm.DB, task string, most int, f func(p *tasks.OutboxMessage) error) (more bool, err error) {
	rows, err := tx.Model(&models.OutboxRow{}).Select("body").Where("task = ?", task).Limit(most + 1).Rows()
	if err != nil {
		return false, fmt.Errorf("read the outbox: %w", err)
	}
	defer rows.Close()
	for read := 0; rows.Next(); read++ {
		if read == most {
			return true, nil
		}
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return false, fmt.Errorf("read the outbox: %w", err)
		}
		p := new(tasks.OutboxMessage)
		if json.Unmarshal(body, p) != nil {
			continue
		}
		if err := f(p); err != nil {
			return false, err
		}
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("read the outbox: %w", err)
	}
	return false, nil
}
