#ifndef TIDEGATE_ADMIN_ENDPOINTS_H
#define TIDEGATE_ADMIN_ENDPOINTS_H

/* Endpoints: each answers its request, at once or later. docs/admin.md describes the answers. */

struct admin_request;

/* probes.c */
void admin_live(struct admin_request *request);
void admin_ready(struct admin_request *request);
void admin_metrics(struct admin_request *request);
void admin_status(struct admin_request *request);
void admin_config(struct admin_request *request);
void admin_asyncapi(struct admin_request *request);
void admin_reload(struct admin_request *request);

/* publish.c, tail.c */
void admin_publish(struct admin_request *request);
/* publications that the broker has not answered are answered with "not known" */
void admin_publish_give_up(struct admin_request *request);
void admin_tail(struct admin_request *request);

/* channels.c */
void admin_channels(struct admin_request *request);
void admin_channel(struct admin_request *request);

/* control.c */
void admin_control(struct admin_request *request);
void admin_disconnect(struct admin_request *request);

/* connections.c */
void admin_connections(struct admin_request *request);
void admin_connection(struct admin_request *request);

/* disconnects.c, nodes.c, page.c */
void admin_disconnects(struct admin_request *request);
void admin_nodes(struct admin_request *request);
void admin_page(struct admin_request *request);
void admin_page_to_try(struct admin_request *request);

#endif
