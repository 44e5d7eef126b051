package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// entryFlags are what a schedule's entry may be made of.
type entryFlags struct {
	file, args        string
	texts             map[string]*string // by the names of the entry's fields
	maxTicks, waiting int
	paused            bool
}

var entryTexts = []struct{ flag, field, help string }{
	{"task", "task", "the `name` of the task that is enqueued"},
	{"cron", "cron", "the rule as five `fields`: minute hour day month weekday"},
	{"every", "every", "the rule as a `duration` between ticks"},
	{"at", "at", "a single `time`, as RFC 3339"},
	{"timezone", "timezone", "the `zone` of the rule, as Asia/Shanghai"},
	{"queue", "queue", "the `name` of the queue"},
	{"overlap", "overlap", "what a tick does while the last one's task has not ended: allow, skip or queue"},
	{"misfire", "misfire", "what of ticks that no scheduler was there for: skip, once or all"},
	{"anchor", "anchor", "from where --every counts: utc, or local for local midnight"},
	{"jitter", "jitter", "a random delay of up to a `duration`"},
	{"from", "from", "no tick before a `time`"},
	{"until", "until", "no tick after a `time`"},
}

func (f *entryFlags) flags(cmd *cobra.Command) {
	f.texts = make(map[string]*string)
	for _, text := range entryTexts {
		f.texts[text.field] = cmd.Flags().String(text.flag, "", text.help)
	}
	cmd.Flags().StringVar(&f.args, "args", "", "the task's arguments, as `JSON`")
	cmd.Flags().IntVar(&f.maxTicks, "max-ticks", 0, "end after so many ticks")
	cmd.Flags().IntVar(&f.waiting, "overlap-limit", 0, "with --overlap queue, how many ticks may wait")
	cmd.Flags().BoolVar(&f.paused, "paused", false, "it enqueues nothing until it is resumed")
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "read the entry from a `file`, in YAML or JSON as in the file of schedules, or - for the input; other flags change it")
}

// entry is what the flags say, over what the file says.
func (f *entryFlags) entry(cmd *cobra.Command, in io.Reader) (map[string]any, error) {
	entry := make(map[string]any)
	if f.file != "" {
		var err error
		if entry, err = readEntry(f.file, in); err != nil {
			return nil, err
		}
	}
	for field, text := range f.texts {
		if *text != "" {
			entry[field] = *text
		}
	}
	if f.args != "" {
		raw, err := readJSON("--args", f.args, strings.NewReader(""))
		if err != nil {
			return nil, err
		}
		entry["args"] = raw
	}
	if cmd.Flags().Changed("max-ticks") {
		entry["max_ticks"] = f.maxTicks
	}
	if cmd.Flags().Changed("overlap-limit") {
		entry["overlap_limit"] = f.waiting
	}
	if cmd.Flags().Changed("paused") {
		entry["paused"] = f.paused
	}
	return entry, nil
}

// readEntry reads one entry in YAML, of which JSON is a part.
func readEntry(file string, in io.Reader) (map[string]any, error) {
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, remote.UsageErrorf("--file: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, remote.UsageErrorf("--file: %w", err)
	}
	if len(content) > maxInput {
		return nil, remote.UsageErrorf("--file: it is larger than %d bytes", maxInput)
	}
	converted, err := yaml.YAMLToJSON(content)
	if err != nil {
		return nil, remote.UsageErrorf("--file: %s", show.Line(strings.SplitN(err.Error(), "\n", 2)[0]))
	}
	var entry map[string]any
	if err := json.Unmarshal(converted, &entry); err != nil || entry == nil {
		return nil, remote.UsageErrorf("--file: it is not one entry, as {task: demo.add, every: 10s}")
	}
	return entry, nil
}

// scheduleWrite is add or change.
func (e environment) scheduleWrite(verb string) *cobra.Command {
	var f entryFlags
	short := "Add an entry to the table"
	if verb == "change" {
		short = "Replace an entry by what is given, also one of the file"
	}
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: usage(cobra.ExactArgs(1)),
		Example: fmt.Sprintf(`  PROGRAM ctl schedules %s nightly --task reports.make --cron '0 3 * * *' --timezone Asia/Shanghai
  PROGRAM ctl schedules %s nightly --file entry.yaml`, verb, verb),
	}
	if verb == "change" {
		cmd.ValidArgsFunction = e.complete("/v1/schedules", "schedules", 0, false)
	}
	f.flags(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, args []string) error {
		entry, err := f.entry(cmd, s.In)
		if err != nil {
			return err
		}
		if named, ok := entry["name"]; ok && named != args[0] {
			return remote.UsageErrorf("NAME: it is %s here, and %v in the file", args[0], named)
		}
		r := remote.Request{Method: http.MethodPost, Path: "/v1/schedules", Body: entry}
		entry["name"] = args[0]
		if verb == "change" {
			r.Method, r.Path = http.MethodPut, remote.Path("v1", "schedules", args[0])
			entry = maps.Clone(entry)
			delete(entry, "name") // it is in the path
			r.Body = entry
		}
		a, err := s.request(ctx, r)
		if err != nil || s.json {
			return err
		}
		return s.say("%s: %s", show.Line(args[0]), show.Line(a.Msg))
	})
	return cmd
}

func (e environment) schedulePreview() *cobra.Command {
	var cron, every, at, anchor, zone, from, until string
	var count int
	cmd := &cobra.Command{
		Use:     "preview --cron FIELDS | --every DURATION | --at TIME",
		Short:   "The next ticks of a rule, with changes of local time, and the rule in words",
		Args:    usage(cobra.NoArgs),
		Example: "  PROGRAM ctl schedules preview --cron '30 2 * * *' --timezone Europe/Berlin --count 5",
	}
	flags := cmd.Flags()
	flags.StringVar(&cron, "cron", "", "five `fields`: minute hour day month weekday")
	flags.StringVar(&every, "every", "", "a `duration` between ticks")
	flags.StringVar(&at, "at", "", "a single `time`")
	flags.StringVar(&anchor, "anchor", "", "from where --every counts: utc, or local for local midnight")
	flags.StringVar(&zone, "timezone", "", "the `zone`, as Asia/Shanghai")
	flags.StringVar(&from, "from", "", "ticks from a `time` on; now when left out")
	flags.StringVar(&until, "until", "", "ticks until a `time`")
	flags.IntVar(&count, "count", 10, "how many")
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		given := 0
		rule := map[string]any{"count": count}
		for name, text := range map[string]string{"cron": cron, "every": every, "at": at} {
			if text != "" {
				given++
				rule[name] = text
			}
		}
		if given != 1 {
			return remote.UsageErrorf("give one of --cron, --every and --at")
		}
		for name, text := range map[string]string{"anchor": anchor, "timezone": zone, "from": from, "until": until} {
			if text != "" {
				rule[name] = text
			}
		}
		a, err := s.act(ctx, "/v1/schedules/preview", rule)
		if err != nil || s.json {
			return err
		}
		var p remote.Preview
		if err := a.Decode(&p); err != nil {
			return err
		}
		return s.printPreview(p)
	})
	return cmd
}

// printPreview writes ticks in the offsets of their zone, with its changes between them.
func (s *session) printPreview(p remote.Preview) error {
	if p.Words != "" {
		if err := s.say("%s", show.Line(p.Words)); err != nil {
			return err
		}
	}
	changes := p.Changes
	say := func(before time.Time) error {
		for len(changes) > 0 && changes[0].At != nil && !changes[0].At.After(before) {
			c := changes[0]
			changes = changes[1:]
			if err := s.say("%s", s.Paint(show.Wait, fmt.Sprintf("  %s  the zone's time changes from %s to %s", c.At.Format("2006-01-02 15:04:05 -07:00"),
				offset(c.FromOffset), offset(c.ToOffset)))); err != nil {
				return err
			}
		}
		return nil
	}
	for _, tick := range p.Ticks {
		if err := say(tick); err != nil {
			return err
		}
		if err := s.say("  %s  in %s", tick.Format("Mon 2006-01-02 15:04:05 -07:00"), show.Until(&tick, s.now())); err != nil {
			return err
		}
	}
	if len(p.Ticks) == 0 {
		return s.say("no tick")
	}
	return nil
}

func offset(raw json.RawMessage) string {
	return show.Line(strings.Trim(string(raw), `"`))
}
