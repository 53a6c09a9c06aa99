package capf_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"capf/runtime/capf"
)

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := capf.Wait(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		begin = time.Now()
		if err := capf.Wait(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
