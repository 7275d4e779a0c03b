//! Optimising in the background what was compiled quickly.
//!
//! One component at a time, by a process that the kernel lets work where nothing else wants to. The optimised code takes the
//! quick code's place on the disk, and in memory if it is loaded: requests that have begun finish on the quick code, those that
//! come find the other, and no request waits. A function that is replaced or removed meanwhile is given up.

use std::{sync::Arc, time::Duration};

use gust_core::{Code, Problem, Tier};
use tokio::{task, time};

use crate::{catalog::Catalog, deployment::Deployment, loader::Loader};

/// When a function is tried again for which the machine had no room.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Optimises one after the other, for as long as the host lives.
pub(crate) async fn run(loader: Arc<Loader>, catalog: Arc<Catalog>) {
    loop {
        let deployment = loader.wanted.next().await;
        tokio::select! {
            optimised = optimise(&loader, &deployment) => {
                if let Err(problem) = optimised {
                    let internal = problem.internal.as_deref();
                    tracing::warn!(function = %deployment.name, %problem, internal, "it goes on with quickly compiled code");
                    if problem.code == Code::HostBusy {
                        try_again(loader.clone(), deployment.clone());
                    }
                }
            }
            // The compiler is killed.
            () = catalog.until_replaced(&deployment) => {}
        }
    }
}

/// Remembers a deployment once more when a while has passed.
fn try_again(loader: Arc<Loader>, deployment: Arc<Deployment>) {
    task::spawn(async move {
        time::sleep(AGAIN_AFTER).await;
        loader.wanted.push(&deployment);
    });
}

async fn optimise(loader: &Arc<Loader>, deployment: &Arc<Deployment>) -> Result<(), Problem> {
    let source = loader.source(deployment);
    if !loader.artifacts().holds(&source.key, Tier::Optimised) {
        loader.compile(source.key, source.component.clone(), Tier::Optimised).await?;
    }
    if deployment.tier() != Some(Tier::Quick) {
        return Ok(());
    }
    let function = loader.function(source).await?;
    if function.tier() == Tier::Optimised {
        loader.probe(&function, deployment.limits().wall_ms).await?;
        loader.residents.replace(deployment, loader.counted(function));
        tracing::info!(function = %deployment.name, version = deployment.version, "optimised");
    }
    Ok(())
}
