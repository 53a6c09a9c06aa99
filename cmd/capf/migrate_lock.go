package main

import (
	"time"

	"capf/runtime/store"
)

// migrating does work that changes what was migrated, such as "migrate run", while nobody else does.
func (a *app) migrating(work string, do func() error) (err error) {
	lock, err := store.TakeRunLock(a.data, work, actor(), time.Now())
	if err != nil {
		return err
	}
	defer func() {
		if released := lock.Release(); err == nil {
			err = released
		}
	}()
	return do()
}
