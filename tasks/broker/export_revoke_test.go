package broker

import (
	"context"
)

// RevokeTwice sends one revocation twice, as happens when the first answer is lost.
func (b *Broker) RevokeTwice(ctx context.Context, queue, id string) (first, second []Revocation, err error) {
	r := b.newRevoker(queue, "x", false)
	if first, err = r.revoke(ctx, []string{id}); err != nil {
		return nil, nil, err
	}
	second, err = r.revoke(ctx, []string{id})
	return first, second, err
}

// RerunTwice is RevokeTwice for Rerun. meanwhile runs between the two.
func (b *Broker) RerunTwice(ctx context.Context, queue, id string, judge Judge, meanwhile func()) (first, second RerunOutcome, err error) {
	r := rerunner{b: b, queue: queue, judge: judge, command: newCommand()}
	one := &rerun{id: id}
	if err = r.read(ctx, one); err != nil {
		return 0, 0, err
	}
	if err = r.rerun(ctx, one); err != nil {
		return 0, 0, err
	}
	first = one.outcome
	meanwhile()
	err = r.rerun(ctx, one)
	return first, one.outcome, err
}

// RoundTrip reads a cursor and writes it again.
func RoundTrip(cursor string) (string, error) {
	p, err := readPosition(cursor)
	return p.String(), err
}
