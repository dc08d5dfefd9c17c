// Package nodes finds the agents of nodes and connects to them.
//
// It does not know what agents are asked.
package nodes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
)

// Certificates are what virt-api shows to agents, and the authority of theirs.
type Certificates interface {
	ClientTLS(serverName string) (*tls.Config, error)
	// Generation changes when ClientTLS does.
	Generation() any
}

// AgentLabel marks the pods of virt-handler.
const AgentLabel = "kubevirt.io=virt-handler"

const byNode = "node"

// Conn connects to the agents of nodes.
type Conn struct {
	certificates Certificates
	port         int
	namespace    string
	factory      informers.SharedInformerFactory
	pods         cache.SharedIndexInformer

	mu         sync.Mutex
	transports map[string]transport
}

type transport struct {
	*http.Transport
	generation any
	address    string
}

// New makes a Conn; Run must run for it to find anything.
func New(client kubernetes.Interface, namespace string, port int, certificates Certificates) (*Conn, error) {
	c := &Conn{certificates: certificates, port: port, namespace: namespace, transports: map[string]transport{}}
	c.factory = informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = AgentLabel }),
		informers.WithTransform(trim))
	c.pods = c.factory.Core().V1().Pods().Informer()
	err := c.pods.AddIndexers(cache.Indexers{byNode: func(obj any) ([]string, error) {
		return []string{obj.(*corev1.Pod).Spec.NodeName}, nil
	}})
	if err != nil {
		return nil, err
	}
	_, err = c.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: c.forget})
	return c, err
}

// trim keeps of a pod what is looked at.
func trim(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp},
		Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName},
		Status:     corev1.PodStatus{PodIP: pod.Status.PodIP, Conditions: pod.Status.Conditions, Phase: pod.Status.Phase},
	}, nil
}

// Run follows the agents' pods until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	c.factory.Start(ctx.Done())
	<-ctx.Done()
	c.factory.Shutdown()
	return nil
}

// NodeConnection gives the base address of a node's agent, and the transport that authenticates both ends.
func (c *Conn) NodeConnection(_ context.Context, node string) (*url.URL, http.RoundTripper, error) {
	pod, err := c.agent(node)
	if err != nil {
		return nil, nil, apierrors.NewServiceUnavailable(err.Error())
	}
	address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(c.port))
	t, err := c.transport(node, address)
	if err != nil {
		return nil, nil, apierrors.NewServiceUnavailable(err.Error())
	}
	return &url.URL{Scheme: "https", Host: address}, t, nil
}

func (c *Conn) agent(node string) (*corev1.Pod, error) {
	if !c.pods.HasSynced() {
		return nil, fmt.Errorf("the agent of node %s is not known yet: try again", node)
	}
	found, err := c.pods.GetIndexer().ByIndex(byNode, node)
	if err != nil {
		return nil, err
	}
	var because string
	for _, obj := range found {
		pod := obj.(*corev1.Pod)
		switch {
		case pod.DeletionTimestamp != nil:
			because = fmt.Sprintf("pod %s/%s is being deleted", pod.Namespace, pod.Name)
		case pod.Status.PodIP == "" || !ready(pod):
			because = fmt.Sprintf("pod %s/%s is not ready", pod.Namespace, pod.Name)
		default:
			return pod, nil
		}
	}
	if because == "" {
		because = fmt.Sprintf("no pod labelled %s runs there in namespace %s", AgentLabel, c.namespace)
	}
	return nil, fmt.Errorf("node %s has no agent to ask: %s", node, because)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// transport returns the node's transport, a new one after a change of certificates or of the address.
func (c *Conn) transport(node, address string) (http.RoundTripper, error) {
	generation := c.certificates.Generation()
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.transports[node]
	if ok && old.generation == generation && old.address == address {
		return old.Transport, nil
	}
	config, err := c.certificates.ClientTLS(subresourcesv1.NodeServerName(node))
	if err != nil {
		return nil, err
	}
	if ok {
		old.CloseIdleConnections()
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}
	c.transports[node] = transport{t, generation, address}
	return t, nil
}

// forget closes what was kept for the node of a pod that is gone.
func (c *Conn) forget(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.transports[pod.Spec.NodeName]; ok {
		t.CloseIdleConnections()
		delete(c.transports, pod.Spec.NodeName)
	}
}
