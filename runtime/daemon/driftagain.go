package daemon

import (
	"context"
	"slices"
	"time"

	"capf/ctl/distribute"
	"capf/runtime/capf"
)

// secondLookAfter is how long a node that could not be reached has until it is looked at again: a server that restarts
// its SSH service, or a line that breaks once, is back by then.
const secondLookAfter = 30 * time.Second

// again looks a second time at nodes that have become unreachable since the last look, before anybody is told: one lost
// connection is no drift. What the second look finds counts. Nodes that were unreachable before are left as they are.
func (d *drift) again(ctx context.Context, statuses []distribute.NodeStatus) ([]distribute.NodeStatus, error) {
	doubtful := make(map[string]bool)
	for _, status := range statuses {
		if status.State == distribute.StateUnreachable && d.told[status.Node] != distribute.StateUnreachable {
			doubtful[status.Node] = true
		}
	}
	if len(doubtful) == 0 {
		return statuses, nil
	}
	if err := d.pause(ctx, min(d.every, secondLookAfter)); err != nil {
		return nil, err
	}
	second, err := d.read(ctx, func(node capf.Node) bool { return doubtful[node.Name] })
	if err != nil {
		return nil, err
	}
	statuses = slices.DeleteFunc(statuses, func(status distribute.NodeStatus) bool { return doubtful[status.Node] })
	return append(statuses, second...), nil // without those that were removed meanwhile
}
