package daemon

import (
	"context"
	"fmt"
	"strings"

	"capf/ctl/distribute"
	"capf/runtime/capf"
)

// heldLists is where the lists of earlier versions are.
type heldLists interface {
	CTL(ctx context.Context, version int64) (capf.CTLVersion, error)
}

// trouble is what keeps nodes from holding what they should, by kind.
type trouble struct {
	unreachable bool
	foreign     bool     // a list that is not known here
	kept        []string // lists that ours does not succeed
	plain       bool     // nothing but that nobody has brought it
}

// Advice says what helps nodes that do not hold what they should by the newest list, one part for each kind of trouble: one
// that cannot be reached gets nothing, and one that holds a list which ours does not succeed keeps it. It is empty where
// all is well.
func Advice(ctx context.Context, lists heldLists, latest capf.CTLVersion, statuses []distribute.NodeStatus) (string, error) {
	var found trouble
	for _, node := range statuses {
		if err := found.add(ctx, lists, latest, node); err != nil {
			return "", err
		}
	}
	var words []string
	if found.unreachable {
		words = append(words, "see first that the unreachable can be reached: `capf node check` tells more")
	}
	if len(found.kept) > 0 {
		words = append(words, fmt.Sprintf("`capf ctl distribute` does not replace %s, which ours does not succeed: build one that is signed by a token of it", strings.Join(found.kept, ", ")))
	}
	if found.foreign {
		words = append(words, "`capf ctl distribute --dry-run` tells whether ours may replace a list that is not known here")
	}
	if found.plain {
		words = append(words, "`capf ctl distribute` brings it")
	}
	return strings.Join(words, "; "), nil
}

// add finds out what is the matter with one node.
func (t *trouble) add(ctx context.Context, lists heldLists, latest capf.CTLVersion, node distribute.NodeStatus) error {
	blocked := false
	for _, file := range node.Files {
		switch {
		case !distribute.IsList(file.Path):
		case file.State == distribute.StateForeign:
			t.foreign, blocked = true, true
		case file.State == distribute.StateOld:
			follows, err := succeeds(ctx, lists, latest, file)
			if err != nil {
				return err
			}
			if !follows {
				t.kept, blocked = append(t.kept, fmt.Sprintf("version %d on %s", file.Version, node.Node)), true
			}
		}
	}
	unreachable := node.State == distribute.StateUnreachable
	t.unreachable = t.unreachable || unreachable
	t.plain = t.plain || !blocked && !unreachable && node.State != distribute.StateEqual
	return nil
}

// succeeds tells whether phones with an earlier list of ours take the newest; that it is older does not matter, since it
// is known to come after.
func succeeds(ctx context.Context, lists heldLists, latest capf.CTLVersion, held distribute.FileStatus) (bool, error) {
	before, err := lists.CTL(ctx, int64(held.Version))
	if err != nil {
		return false, err
	}
	if distribute.IsITL(held.Path) {
		return distribute.Succeeds(latest.ITL, before.ITL), nil
	}
	return distribute.Succeeds(latest.File, before.File), nil
}
