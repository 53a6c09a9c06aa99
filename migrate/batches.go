package migrate

// batches gathers rows until there are enough to be written.
type batches[T any] struct {
	work  *behind
	skip  int // rows that are there already
	rows  []T
	used  chan []T // slices that were written, to be used again
	write func([]T) error
}

func newBatches[T any](work *behind, skip int, write func([]T) error) *batches[T] {
	return &batches[T]{work: work, skip: skip, write: write, used: make(chan []T, 1)}
}

// add takes the next row, which is made only where it is not there already. Its error may be that of a row before.
func (b *batches[T]) add(row func() T) error {
	if b.skip > 0 {
		b.skip--
		return nil
	}
	if b.rows == nil {
		b.rows = b.room()
	}
	b.rows = append(b.rows, row())
	if len(b.rows) < batch {
		return nil
	}
	return b.flush()
}

func (b *batches[T]) room() []T {
	select {
	case rows := <-b.used:
		return rows
	default:
		return make([]T, 0, batch)
	}
}

func (b *batches[T]) flush() error {
	if len(b.rows) == 0 {
		return nil
	}
	rows := b.rows
	b.rows = nil
	return b.work.do(func() error {
		err := b.write(rows)
		clear(rows)
		select {
		case b.used <- rows[:0]:
		default:
		}
		return err
	})
}

// behind does work in its order beside whoever hands it in: the store writes while the next rows are read.
type behind struct {
	work   chan func() error
	failed chan error // has the first failure
	done   chan struct{}
}

func newBehind() *behind {
	b := &behind{work: make(chan func() error), failed: make(chan error, 1), done: make(chan struct{})}
	go b.loop()
	return b
}

func (b *behind) loop() {
	defer close(b.done)
	failed := false
	for work := range b.work {
		if failed {
			continue
		}
		if err := work(); err != nil {
			failed = true
			b.failed <- err
		}
	}
}

// do hands in work. Its error is that of work before.
func (b *behind) do(work func() error) error {
	select {
	case err := <-b.failed:
		return err
	case b.work <- work:
		return nil
	}
}

// end waits until all is done, and gives the failure to err, if that has none.
func (b *behind) end(err *error) {
	close(b.work)
	<-b.done
	select {
	case failed := <-b.failed:
		if *err == nil {
			*err = failed
		}
	default:
	}
}
