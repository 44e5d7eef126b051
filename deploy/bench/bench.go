package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// bench runs the rows and writes their results to out, and what it does meanwhile to progress. A row that fails does
// not keep the others from running.
func bench(ctx context.Context, chosen []row, opt options, out, progress io.Writer) (err error) {
	l, err := newLab(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	results := []result{} // which JSON shows as a list, even an empty one
	var errs []error
	for i, r := range chosen {
		begun := time.Now()
		fmt.Fprintf(progress, "[%d/%d] %s: %s\n", i+1, len(chosen), r.name, r.about)
		got, err := r.measure(ctx, l)
		l.endRow()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", r.name, err)
			fmt.Fprintln(progress, "      failed:", err)
			errs = append(errs, err)
			continue
		}
		for j, m := range r.metrics {
			res := newResult(m, got[j])
			fmt.Fprintf(progress, "      %s %s %s, ratio %s, %s (%v)\n", res.Name, number(&res.Value), res.Unit, res.ratio(),
				res.verdict(), time.Since(begun).Round(100*time.Millisecond))
			results = append(results, res)
		}
	}
	if opt.peers != "" {
		errs = append(errs, addPeers(ctx, l, opt.peers, results, progress))
	}
	about, err := l.conditions(ctx)
	errs = append(errs, err)
	fmt.Fprintf(out, "\n%s\n\n", about)
	errs = append(errs, writeTable(out, results))
	if opt.json != "" {
		errs = append(errs, writeJSON(opt.json, results))
	}
	return causeOf(ctx, errors.Join(errs...))
}
