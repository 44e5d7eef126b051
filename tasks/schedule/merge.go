package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Kinds of rows.
const (
	KindEntry    = "entry"    // an entry of its own
	KindOverride = "override" // what is changed of an entry of the file
)

// Row is a row of the table of schedules.
type Row struct {
	Name   string
	Kind   string
	Entry  string // as it is stored; "" of an override that changes nothing but the pause
	Paused *bool  // nil: as Entry, or the file, says
	Base   string // of an override: Origin.Base of what it was made for
	By     string
	At     time.Time
}

// Snapshot is the table at one time.
type Snapshot struct {
	Revision int64
	Rows     []Row
}

// place is where the entries of the table are encrypted for.
const place = "schedules"

// Stored is an entry as the table stores it, encrypted where its task's arguments are.
func (r Reader) Stored(e Entry, canonical []byte) string {
	if r.Client != nil && e.private() {
		canonical = r.Client.EncryptStored(place, e.Name, canonical)
	}
	return string(canonical)
}

// Text is the JSON of an entry that the table stores.
func (r Reader) Text(row Row) ([]byte, error) {
	if r.Client == nil {
		return []byte(row.Entry), nil
	}
	return r.Client.DecryptStored(place, row.Name, []byte(row.Entry))
}

// EntryOf reads the entry of a row. Its error says why it can't be decrypted, or names what of it is wrong without its words:
// these may quote arguments, and the error is for logs and for those who may not see them.
func (r Reader) EntryOf(row Row) (Entry, error) {
	text, err := r.Text(row)
	if err != nil {
		return Entry{}, fmt.Errorf("schedule %s: %w", row.Name, err)
	}
	e, err := r.ReadEntry(text)
	var wrong *LoadError
	if errors.As(err, &wrong) {
		if wrong.Problems[0].Field == "task" {
			return Entry{}, fmt.Errorf("schedule %s: %s", row.Name, wrong.Problems[0].Msg)
		}
		return Entry{}, fmt.Errorf("schedule %s: %s is not right for this program: change the entry", row.Name, cmp.Or(wrong.Problems[0].Field, "the entry"))
	}
	if err != nil {
		return Entry{}, err
	}
	if row.Paused != nil {
		e.Paused = *row.Paused
	}
	e.Source, e.By, e.Since = SourceTable, row.By, row.At
	return e, nil
}

// Merge is the schedule that a file and a table make together: one entry a name. Of a name that both have, the file's entry is
// in force, and the table's rests. An override counts for the entry that it was made for: when the file says something else,
// its pause alone is left. An entry of the table that this program can't run is left out, and its error comes back.
func (r Reader) Merge(file *Schedule, table Snapshot) (*Schedule, []error) {
	if len(table.Rows) == 0 {
		return file, nil
	}
	var errs []error
	var leftOut []string // names
	entries := make([]Entry, 0, len(file.entries)+len(table.Rows))
	places := make(map[string]int, cap(entries))
	for _, e := range file.entries {
		places[e.Name] = len(entries)
		entries = append(entries, e)
	}
	for _, row := range table.Rows {
		i, inFile := places[row.Name]
		switch {
		case row.Kind == KindOverride && inFile:
			changed, err := r.override(entries[i], row)
			if err != nil {
				errs, leftOut = append(errs, err), append(leftOut, row.Name)
			}
			entries[i] = changed
		case row.Kind == KindEntry && inFile:
			entries[i].Shadows = true
		case row.Kind == KindEntry:
			e, err := r.EntryOf(row)
			if err != nil {
				errs, leftOut = append(errs, err), append(leftOut, row.Name)
				continue
			}
			entries = append(entries, e)
		}
	}
	merged := newSchedule(entries, r.Digest)
	merged.leftOut = leftOut
	return merged, errs
}

// override applies a row to an entry of the file. With an error the entry is as the file says, but for the pause.
func (r Reader) override(e Entry, row Row) (Entry, error) {
	var failed error
	over := &Override{Paused: row.Paused, By: row.By, At: row.At}
	if row.Entry != "" && row.Base == e.Base {
		changed, err := r.EntryOf(row)
		if err == nil {
			over.Changed = true
			changed.Origin = e.Origin
			changed.Since = row.At
			e = changed
		}
		failed = err
	}
	if row.Paused != nil {
		e.Paused = *row.Paused
		if row.Base == e.Base {
			e.Since = row.At
		}
	}
	if over.Paused != nil || over.Changed {
		e.Override = over
	}
	return e, failed
}
