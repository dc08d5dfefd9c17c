package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/virtplane/virtplane/test/bench/report"
)

// watches measures how long it takes until all watchers have seen all updates, each watcher on a connection of its own.
// The updates replace whole objects, each another one.
func (r *apiRound) watches(ctx context.Context, metric, accept string, phase func(string, func() error) error) error {
	var all []float64
	for range r.size.watchRepeats {
		took, err := r.watch(ctx, accept, phase)
		if err != nil {
			return err
		}
		all = append(all, milliseconds(took))
	}
	r.results[metric] = report.Median(all)
	return nil
}

func (r *apiRound) watch(ctx context.Context, accept string, phase func(string, func() error) error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchDeadline)
	defer cancel()
	list, err := r.clients[0].body(ctx, request{method: http.MethodGet, path: fmt.Sprintf("%s?limit=%d", r.side.path(apiNamespace, ""), r.size.updates), accept: jsonType})
	if err != nil {
		return 0, err
	}
	objects, version, err := items(list)
	if err != nil {
		return 0, err
	}
	bodies := make([][]byte, len(objects))
	paths := make([]string, len(objects))
	for i, o := range objects {
		o["apiVersion"], o["kind"] = r.side.apiVersion(), "VirtualMachine"
		metadata := o["metadata"].(map[string]any)
		metadata["annotations"].(map[string]any)["bench"] = version
		paths[i] = r.side.path(apiNamespace, metadata["name"].(string))
		if bodies[i], err = json.Marshal(o); err != nil {
			return 0, err
		}
	}
	if len(objects) != r.size.updates {
		return 0, fmt.Errorf("%d machines to update, want %d", len(objects), r.size.updates)
	}

	ended := make([]error, r.size.watchers)
	var wg sync.WaitGroup
	for i := range r.size.watchers {
		c, err := newAPIClient(r.host.Admin)
		if err != nil {
			return 0, err
		}
		defer c.close()
		resp, err := c.open(ctx, request{method: http.MethodGet, path: r.side.path(apiNamespace, "") + "?watch=1&resourceVersion=" + version, accept: accept})
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		wg.Go(func() { ended[i] = countEvents(resp.Body, accept, r.size.updates) })
	}
	err = phase("watch", func() error {
		began := time.Now()
		_, err := parallel(ctx, r.clients, r.size.updates, func(i int) request {
			return request{method: http.MethodPut, path: paths[i], accept: jsonType, contentType: jsonType, body: bodies[i]}
		})
		if err != nil {
			cancel() // the watchers would wait for what never comes
		}
		wg.Wait()
		took = time.Since(began)
		if err != nil {
			return err
		}
		for _, e := range ended {
			if e != nil {
				return e
			}
		}
		return nil
	})
	return took, err
}
