package cache

import "fmt"

// MalformedError says that an applier knows nothing that a change could be about, now or ever.
type MalformedError struct {
	ID    string // of the change
	Cause error
}

func (e *MalformedError) Error() string { return fmt.Sprintf("change %q: %v", e.ID, e.Cause) }
func (e *MalformedError) Unwrap() error { return e.Cause }

// Malformed reports whether err, of Store.Apply or an Applier, is about malformed changes alone: all others are applied,
// and to apply them again is of no use. So it is false of nil.
func Malformed(err error) bool {
	switch e := err.(type) {
	case *MalformedError:
		return true
	case interface{ Unwrap() error }:
		return Malformed(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if !Malformed(part) {
				return false
			}
		}
		return true
	}
	return false
}
