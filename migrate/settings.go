package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/runtime/capf"
)

// TakenSetting says what becomes of a value in a CAPF.cfg.
type TakenSetting string

// What becomes of a setting.
const (
	SettingTaken     TakenSetting = "taken"     // the parameter is set to it
	SettingUnchanged TakenSetting = "unchanged" // the parameter has that value already
	SettingNotTaken  TakenSetting = "not-taken" // kept aside
)

// Setting is one setting of the old configuration.
type Setting struct {
	Machine   string       `json:"machine"`
	File      string       `json:"file"`
	Line      int          `json:"line"`
	Key       string       `json:"key"`
	Parameter string       `json:"parameter,omitempty"`
	Value     string       `json:"value"` // masked where it may be a secret
	Use       TakenSetting `json:"use"`
	Why       string       `json:"why,omitempty"`
}

// setting is a Setting while it is judged, with what must not be shown.
type setting struct {
	Setting
	from   cfgfile.Setting
	normal string // the value as it would be stored, where it is valid
	valid  bool
}

// settingFrom is a setting of a machine before it is judged, its value checked.
func settingFrom(machine string, from cfgfile.Setting) *setting {
	one := &setting{from: from, Setting: Setting{Machine: machine, File: from.File, Line: from.Line, Key: shownKey(from),
		Parameter: from.Parameter, Value: from.Shown(), Use: SettingNotTaken}}
	one.normalise()
	return one
}

// judgeSettings says of every setting whether it is taken: only for a parameter that nobody has set here, only valid
// values, and only where all machines agree or the choice names one. What earlier runs left open, by the parameter, stays
// so until the choice names one: the sources of this run may be a part of those that differed.
func (r *reading) judgeSettings(parameters capf.Parameters, choice string, open map[string]int64) []*setting {
	var out []*setting
	by := map[string][]*setting{}
	for _, m := range r.machines {
		for _, from := range m.Settings() {
			one := settingFrom(m.name, from)
			out = append(out, one)
			by[from.Parameter] = append(by[from.Parameter], one)
		}
	}
	for name, settings := range by {
		run := open[name]
		chosen, found := chosenValue(settings, choice, run > 0)
		for _, s := range settings {
			s.judge(name, parameters, chosen, found, run)
		}
	}
	return out
}

// shownKey is the key for a person to look at: in a line that only looks like a setting it may be anything.
func shownKey(from cfgfile.Setting) string {
	if from.Parameter != "" {
		return from.Key
	}
	return plain.Clip(legacy.MaskText(from.Key))
}

// normalise checks the value, or says why it cannot be taken.
func (s *setting) normalise() {
	if s.from.Parameter == "" {
		s.Why = "is no parameter of ours"
		return
	}
	parameter, err := capf.FindParameter(s.from.Parameter)
	if err == nil {
		s.normal, err = parameter.Normalise(s.from.Value.Reveal())
	}
	if err != nil {
		s.Why = err.Error()
		return
	}
	s.valid = true
}

// chosenValue gives the one value that all settings of a parameter have, else those of the machine that is chosen. Of what
// is open since an earlier run it gives those alone.
func chosenValue(settings []*setting, choice string, open bool) (string, bool) {
	if !open && agree(settings) {
		return settings[0].normal, true
	}
	of := slices.DeleteFunc(slices.Clone(settings), func(s *setting) bool { return !strings.EqualFold(s.Machine, choice) })
	if len(of) == 0 || !agree(of) {
		return "", false
	}
	return of[0].normal, true
}

func agree(settings []*setting) bool {
	return !slices.ContainsFunc(settings, func(s *setting) bool { return !s.valid || s.normal != settings[0].normal })
}

// judge decides about a valid setting; the reason against another one stands already.
func (s *setting) judge(name string, parameters capf.Parameters, chosen string, found bool, openSince int64) {
	current, set := parameters[name]
	switch {
	case !s.valid:
	case s.normal == parameters.Get(name) && (set || !found || s.normal == chosen): // else the default that it has goes
		s.Use = SettingUnchanged
	case !found:
		s.Why = whyOpen(name, openSince)
	case s.normal != chosen:
		s.Why = fmt.Sprintf("another source is preferred, which has %q", chosen)
	case set:
		s.Why = fmt.Sprintf("the parameter is set to %q here", current)
	default:
		s.Use = SettingTaken
	}
}

// beginOpen begins the reason of a setting whose parameter is left open; its name and endOpen follow.
const beginOpen, endOpen = "the configurations differ about ", ": prefer a source, or set the parameter"

// whyOpen is that reason; run is the earlier one that left it open first, 0 for none.
func whyOpen(parameter string, run int64) string {
	if run == 0 {
		return beginOpen + parameter + endOpen
	}
	return fmt.Sprintf("%s%s since run %d%s", beginOpen, parameter, run, endOpen)
}

// leftOpen gives the parameters that runs which stand left open, each with the first of these: the lines of their
// settings are kept aside for that reason.
func (p *planner) leftOpen(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for _, run := range p.runs {
		if !run.RolledBackAt.IsZero() || run.Counts.KeptAside == 0 || !p.reading.hasParameters() {
			continue
		}
		err := p.store.KeptLines(ctx, run.ID, func(line capf.KeptLine) error {
			if rest, found := strings.CutPrefix(line.Reason, notTaken+beginOpen); found {
				name := rest[:strings.IndexAny(rest+" ", " :")]
				if out[name] == 0 {
					out[name] = run.ID
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hasParameters tells whether a configuration of the sources sets a parameter.
func (r *reading) hasParameters() bool {
	return slices.ContainsFunc(r.machines, func(m *machineReading) bool {
		return slices.ContainsFunc(m.Settings(), func(from cfgfile.Setting) bool { return from.Parameter != "" })
	})
}

// takenValues gives the values that parameters get.
func takenValues(settings []*setting) map[string]string {
	out := map[string]string{}
	for _, s := range settings {
		if s.Use == SettingTaken {
			out[s.from.Parameter] = s.normal
		}
	}
	return out
}

// notTaken begins the reason of a line with a setting.
const notTaken = "setting not taken: "

// kept is the line of a setting that is not taken; what is taken stands in the parameters.
func (s *setting) kept() legacy.KeptLine {
	return legacy.Keep(s.from.Position, 0, s.from.Bytes, notTaken+s.Why)
}

// settingRows are the settings as they are shown.
func (p *planner) settingRows() []Setting {
	var out []Setting
	for _, s := range p.settings {
		out = append(out, s.Setting)
	}
	return out
}
