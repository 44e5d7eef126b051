package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSameSeedMakesTheSamePlan(t *testing.T) {
	t.Parallel()
	require.Equal(t, newPlan(7, 10*time.Minute), newPlan(7, 10*time.Minute))
	require.NotEqual(t, newPlan(7, 10*time.Minute).acts[0].faults, newPlan(8, 10*time.Minute).acts[0].faults)
	require.NotEqual(t, newPlan(7, 10*time.Minute).acts[0].requests, newPlan(8, 10*time.Minute).acts[0].requests)
}

func TestAPlanIsInOrderAndWithinItsTime(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{30 * time.Second, 2 * time.Minute, time.Hour} {
		p, serials := newPlan(21, length), map[int]bool{}
		require.Len(t, p.acts, 2)
		require.Equal(t, length, p.acts[0].length+p.acts[1].length)
		for _, a := range p.acts {
			require.NotEmpty(t, a.requests)
			last := time.Duration(0)
			for _, q := range a.requests {
				require.GreaterOrEqual(t, q.at, last)
				require.Less(t, q.at, a.length)
				require.False(t, serials[q.serial])
				if q.kind == "seckill" {
					require.Less(t, q.target, len(a.sales))
				}
				last, serials[q.serial] = q.at, true
			}
			last = 0
			for _, f := range a.faults {
				require.GreaterOrEqual(t, f.at, last)
				require.LessOrEqual(t, f.at+f.length, a.length)
				last = f.at
			}
		}
	}
}

func TestAPlanHasEveryFaultAndAllTraffic(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{7, 21, 42} {
		p := newPlan(seed, 10*time.Minute)
		faults := map[string]map[string]bool{}
		wipes := map[string]bool{}
		requests := map[string]bool{}
		for _, a := range p.acts {
			for _, f := range a.faults {
				if faults[f.kind] == nil {
					faults[f.kind] = map[string]bool{}
				}
				faults[f.kind][f.target] = true
				if f.kind == faultFlush || f.kind == faultLose {
					wipes[a.name] = true
				}
			}
			for _, q := range a.requests {
				requests[q.kind+" "+q.variant] = true
			}
		}
		for _, kind := range append(deckOf(false), deckOf(true)...) {
			require.NotEmpty(t, faults[kind], kind)
		}
		require.Greater(t, len(faults[faultKill]), 3, "of many programs")
		require.Equal(t, map[string]bool{actWipes: true}, wipes, "Redis loses nothing in the storm")
		for _, k := range kinds {
			for _, variant := range k.variants {
				require.True(t, requests[k.name+" "+variant], "%s %s", k.name, variant)
			}
		}
	}
}

func TestEveryFaultHasATargetThatIsThere(t *testing.T) {
	t.Parallel()
	l := &lab{}
	for _, name := range programNames() {
		l.programs = append(l.programs, &program{name: name})
	}
	s := newSaboteur(l)
	for _, a := range newPlan(42, time.Hour).acts {
		for _, f := range a.faults {
			switch f.kind {
			case faultCut, faultAway, faultSilent, faultSlow:
				require.NotEmpty(t, s.ways(f.target), f.String())
			case faultFull, faultFlush, faultLose:
				require.Equal(t, "redis", f.target)
			default:
				require.True(t, s.servers[f.target] != nil || l.program(f.target) != nil, f.String())
			}
		}
	}
}

func TestPrintPlan(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cmd := command()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--plan", "--seed", "7", "--minutes", "1"})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Contains(t, out.String(), "storm: 45s")
	require.Contains(t, out.String(), " for ")

	cmd = command()
	cmd.SetArgs([]string{"--minutes", "0"})
	require.ErrorContains(t, cmd.ExecuteContext(t.Context()), "--minutes")
}
