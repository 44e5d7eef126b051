package main

import "fmt"

// target is what a measurement should reach. Its zero value is none.
type target struct {
	text string
	met  func(measurement) bool
}

func noTarget() target { return target{} }

func ratioAtLeast(want float64) target {
	return target{fmt.Sprintf("≥ %.2f×", want), func(m measurement) bool { return m.ratio() >= want }}
}

func ratioAtMost(want float64) target {
	return target{fmt.Sprintf("≤ %.2f×", want), func(m measurement) bool { return m.ratio() <= want }}
}

func atLeast(want float64) target {
	return target{fmt.Sprintf("≥ %g", want), func(m measurement) bool { return m.value >= want }}
}

func atMost(want float64) target {
	return target{fmt.Sprintf("≤ %g", want), func(m measurement) bool { return m.value <= want }}
}

func both(a, b target) target {
	return target{a.text + ", " + b.text, func(m measurement) bool { return a.met(m) && b.met(m) }}
}

// ratio is value to baseline, 0 without a baseline.
func (m measurement) ratio() float64 {
	if m.baseline == 0 {
		return 0
	}
	return m.value / m.baseline
}
