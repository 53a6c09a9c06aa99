package capf

import (
	"context"
	"time"
)

// Wait waits for so long. It returns early, with the context's error, where that ends.
func Wait(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
