package migrate

import (
	"context"
	"fmt"

	"capf/runtime/capf"
)

// parameters compares what the run set with the configurations, and with what is in force.
func (v *verifier) parameters(ctx context.Context) error {
	taken, err := v.store.TakenParameters(ctx, v.run)
	if err != nil {
		return err
	}
	for _, one := range taken {
		from := v.settingOf(one)
		if from == nil {
			continue
		}
		v.out.Parameters++
		differ := v.differ
		var what string
		switch {
		case from.normal != one.Value:
			what = fmt.Sprintf("the run set the parameter %s to %q, the source has %q", one.Name, one.Value, from.Value)
		case one.Now == one.Value:
			continue
		case one.ChangedBy != "":
			differ = v.differSince
			what = fmt.Sprintf("the parameter %s was set to %q here by %s on %s", one.Name, one.Now, one.ChangedBy, capf.FormatTime(one.ChangedAt))
		default:
			what = fmt.Sprintf("the parameter %s is %q, the run set it to %q", one.Name, one.Now, one.Value)
		}
		differ(from.Machine, from.File, from.Line, "", what)
	}
	return nil
}

// settingOf finds the setting that a parameter was taken from: one with its value, else the first of that parameter; nil
// where it may be that of a machine that was not read again.
func (v *verifier) settingOf(one capf.TakenParameter) (first *setting) {
	for _, m := range v.reading.machines {
		for _, from := range m.Settings() {
			if from.Parameter != one.Name {
				continue
			}
			at := settingFrom(m.name, from)
			if at.normal == one.Value {
				return at
			}
			if first == nil && len(v.reading.machines) == len(v.out.Sources) {
				first = at
			}
		}
	}
	return first
}
