package migrate

import (
	"fmt"
	"slices"
	"strings"

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

// judgeSettings says of every setting whether it is taken: only for a parameter that nobody has set here, only valid
// values, and only where all machines agree or the choice names one.
func (r *reading) judgeSettings(parameters capf.Parameters, choice string) []*setting {
	var out []*setting
	by := map[string][]*setting{}
	for _, m := range r.machines {
		for _, from := range m.Settings() {
			one := &setting{from: from, Setting: Setting{Machine: m.name, File: from.File, Line: from.Line, Key: shownKey(from),
				Parameter: from.Parameter, Value: from.Shown(), Use: SettingNotTaken}}
			one.normalise()
			out = append(out, one)
			by[from.Parameter] = append(by[from.Parameter], one)
		}
	}
	for name, settings := range by {
		chosen, found := chosenValue(settings, choice)
		for _, s := range settings {
			s.judge(name, parameters, chosen, found)
		}
	}
	return out
}

// shownKey is the key for a person to look at: in a line that only looks like a setting it may be anything.
func shownKey(from cfgfile.Setting) string {
	if from.Parameter != "" {
		return from.Key
	}
	return shortened(legacy.MaskText(from.Key))
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

// chosenValue gives the one value that all settings of a parameter have, else those of the machine that is chosen.
func chosenValue(settings []*setting, choice string) (string, bool) {
	if agree(settings) {
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
func (s *setting) judge(name string, parameters capf.Parameters, chosen string, found bool) {
	current, set := parameters[name]
	switch {
	case !s.valid:
	case s.normal == parameters.Get(name) && (set || !found || s.normal == chosen): // else the default that it has goes
		s.Use = SettingUnchanged
	case !found:
		s.Why = "the configurations differ: prefer a source, or set the parameter"
	case s.normal != chosen:
		s.Why = fmt.Sprintf("another source is preferred, which has %q", chosen)
	case set:
		s.Why = fmt.Sprintf("the parameter is set to %q here", current)
	default:
		s.Use = SettingTaken
	}
}

// taken gives the values that parameters get.
func taken(settings []*setting) map[string]string {
	out := map[string]string{}
	for _, s := range settings {
		if s.Use == SettingTaken {
			out[s.from.Parameter] = s.normal
		}
	}
	return out
}

// kept is the line of a setting that is not taken; what is taken stands in the parameters.
func (s *setting) kept() legacy.KeptLine {
	return legacy.Keep(s.from.Position, 0, s.from.Bytes, "setting not taken: "+s.Why)
}

// settingRows are the settings as they are shown.
func (p *planner) settingRows() []Setting {
	var out []Setting
	for _, s := range p.settings {
		out = append(out, s.Setting)
	}
	return out
}
