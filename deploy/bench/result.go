package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// result is one line of the table. Baseline and Ratio are nil where there is nothing to compare with, Met where there
// is no target; Peers holds what other queues reached, by their name.
type result struct {
	Name     string             `json:"name"`
	Unit     string             `json:"unit"`
	Value    float64            `json:"value"`
	Baseline *float64           `json:"baseline"`
	Ratio    *float64           `json:"ratio"`
	Target   string             `json:"target"`
	Met      *bool              `json:"met"`
	Peers    map[string]float64 `json:"peers,omitempty"`
}

func newResult(m metric, got measurement) result {
	r := result{Name: m.name, Unit: m.unit, Value: got.value, Target: m.target.text}
	if got.baseline != 0 {
		ratio := got.ratio()
		r.Baseline, r.Ratio = &got.baseline, &ratio
	}
	if m.target.met != nil {
		met := m.target.met(got)
		r.Met = &met
	}
	return r
}

func (r result) verdict() string {
	switch {
	case r.Met == nil:
		return "-"
	case *r.Met:
		return "met"
	}
	return "NOT MET"
}

func (r result) ratio() string {
	if r.Ratio == nil {
		return "-"
	}
	return number(r.Ratio) + "×"
}

// writeTable writes the results with one column more for each peer.
func writeTable(w io.Writer, results []result) error {
	peers := make(map[string]bool)
	for _, r := range results {
		for name := range r.Peers {
			peers[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(peers))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(append([]string{"NAME", "UNIT", "VALUE", "BASELINE", "RATIO", "TARGET", "MET"}, upper(names)...), "\t"))
	for _, r := range results {
		cells := []string{r.Name, r.Unit, number(&r.Value), number(r.Baseline), r.ratio(), orDash(r.Target), r.verdict()}
		for _, name := range names {
			if v, ok := r.Peers[name]; ok {
				cells = append(cells, number(&v))
			} else {
				cells = append(cells, "-")
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

func upper(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = strings.ToUpper(w)
	}
	return list
}

// number has three significant digits at least.
func number(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v == 0:
		return "0"
	case *v < 0.1:
		return fmt.Sprintf("%.4f", *v)
	case *v < 10:
		return fmt.Sprintf("%.2f", *v)
	case *v < 100:
		return fmt.Sprintf("%.1f", *v)
	}
	return fmt.Sprintf("%.0f", *v)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func writeJSON(file string, results []result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
