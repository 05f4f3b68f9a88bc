//! A run: a machine with everybody on it, and what a step does.

use crate::actors::driver::Driver;
use crate::actors::hostile::Hostile;
use crate::actors::liar::Liar;
use crate::actors::pager::{self, Pager, Place};
use crate::actors::server::Server;
use crate::actors::witness::Witness;
use crate::device::{Device, SharedDevice};
use crate::env::{Counter, Env, Record};
use crate::image::Image;
use crate::law;
use crate::laws::{check_all, check_step};
use crate::machine::Arena;
use crate::random::Random;
use crate::scenario::{Mix, Shares};
use crate::world::{Machine, World};
use containers_api::MemoryError;
use containers_api::contract::{HandDown, TakeBack};
use containers_api::control::{ControlRights, PolicyKind, PolicySet};
use containers_core::record::Records;
use physmem_core::database::State;
use physmem_core::layout::contract;
use std::rc::Rc;

/// Steps from one walk of all laws to the next.
pub const WALK_STEPS: u64 = 1000;

/// Answers that are kept for a file server that has ended.
const ANSWERS_KEPT: usize = 64;

/// See the module.
pub struct Sim<'a> {
    /// What all share.
    pub env: Env<'a>,
    shares: Shares,
    root: u64,
    witnesses: Vec<Option<Witness>>,
    hostiles: Vec<Option<Hostile>>,
    server: Option<Server>,
    liar: Option<Liar>,
    driver: Option<Driver>,
    place: Option<Place>,
    pager: Option<Pager>,
    device: SharedDevice,
    steps: u64,
}

impl<'a> Sim<'a> {
    /// A machine of so many frames, on which nobody has started yet.
    pub fn new(arena: &'a mut Arena, image: Rc<Image>, mix: Mix, frames: usize, told: bool) -> Sim<'a> {
        let shares = Shares::of(&mix, frames);
        let world = World::new(arena.parts(frames), shares.reserve, shares.extra);
        let root = world.root();
        let clients = shares.witnesses + shares.hostiles;
        let device = Device::switched_on();
        device.0.borrow_mut().troubles = mix.troubles;
        let mut env = Env::new(world, image, mix, clients, told);
        let place = if mix.pages_out { Place::new(&mut env, root) } else { None };
        law!("nothing-is-lost", place.is_some() == mix.pages_out, "there is no room for the window");
        env.world.swap_limit = if mix.pages_out { pager::SWAP_LIMIT } else { 0 };
        Sim {
            env,
            place,
            pager: None,
            shares,
            root,
            witnesses: (0..shares.witnesses).map(|_| None).collect(),
            hostiles: (0..shares.hostiles).map(|_| None).collect(),
            server: None,
            liar: None,
            driver: None,
            device,
            steps: 0,
        }
    }

    /// Takes a step with random numbers of its own, and checks what it touched.
    pub fn step(&mut self, mut random: Random) {
        let now = self.env.now() + random.below(self.env.mix.step_ns);
        self.env.random = random;
        self.env.world.begin_step(now);
        self.act();
        if self.env.world.touched.much && self.env.random.once_in(8) {
            check_all(&mut self.env);
        } else {
            check_step(&mut self.env);
        }
        self.steps += 1;
        if self.steps.is_multiple_of(WALK_STEPS) {
            self.check();
        }
    }

    fn act(&mut self) {
        let mix = self.env.mix;
        let dies = |random: &mut Random, often: u64| often != 0 && random.once_in(often);
        if dies(&mut self.env.random, mix.client_deaths * 8) {
            return self.client_dies();
        }
        if dies(&mut self.env.random, mix.server_deaths * 8) {
            return self.server_dies();
        }
        if dies(&mut self.env.random, mix.driver_deaths * 8) {
            return self.driver_dies();
        }
        if dies(&mut self.env.random, mix.sleeps * 4) {
            let sleep = self.env.random.below(50_000_000_000);
            return self.sleep(self.env.now() + sleep);
        }
        if dies(&mut self.env.random, mix.politics * 4) {
            return self.politics();
        }
        if dies(&mut self.env.random, mix.swaps * 4) {
            return self.swap_policy();
        }
        let liars = if mix.lies == 0 { 0 } else { 14 };
        let servers = liars + if mix.reads == 0 { 0 } else { 36 };
        let clients = 10 * (self.witnesses.len() + self.hostiles.len()) as u64;
        if mix.pages_out && self.env.random.once_in(3) {
            return self.pager_acts();
        }
        match self.env.random.below(clients + servers + 6) {
            choice if choice < clients => self.client_acts((choice / 10) as usize),
            choice if choice < clients + servers => match choice - clients {
                0..18 => self.server_acts(),
                18..26 => self.driver_acts(),
                26..36 => self.device_works(),
                _ => self.liar_acts(),
            },
            choice if choice < clients + servers + 4 => self.sleep_until_something(),
            _ => {
                self.env.world.machine.idle();
            }
        }
    }

    fn client_acts(&mut self, index: usize) {
        let (env, client) = (&mut self.env, self.shares.client);
        env.record.note(index as u64, || format!("client {index}:"));
        match index.checked_sub(self.witnesses.len()) {
            None => match &mut self.witnesses[index] {
                Some(witness) => {
                    if !witness.step(env) {
                        self.witnesses[index] = None;
                    }
                }
                none => *none = Witness::new(env, index, self.root, client),
            },
            Some(hostile) => match &mut self.hostiles[hostile] {
                Some(hostile) => hostile.step(env),
                none => *none = Hostile::new(env, index, self.root, client),
            },
        }
    }

    fn server_acts(&mut self) {
        let env = &mut self.env;
        match &mut self.server {
            Some(server) => server.step(env),
            None => {
                env.record.note(1, || String::from("the file server starts"));
                self.server = Server::new(env, self.root, self.shares.server, self.shares.places);
            }
        }
    }

    /// The pager acts, or dies, or another one comes.
    fn pager_acts(&mut self) {
        let often = self.env.mix.pager_deaths;
        let env = &mut self.env;
        let Some(place) = &mut self.place else { return };
        match self.pager.take() {
            Some(pager) if often != 0 && env.random.once_in(often) => {
                env.record.note(7, || String::from("the pager dies"));
                env.record.count(Counter::PagerCrashes);
                env.world.touched.much = true;
                pager.destroy(env);
            }
            Some(mut pager) => {
                pager.step(env, place);
                self.pager = Some(pager);
            }
            None => self.pager = Pager::new(env, self.root, place),
        }
    }

    fn liar_acts(&mut self) {
        let env = &mut self.env;
        match &mut self.liar {
            Some(liar) => liar.step(env),
            None => self.liar = Liar::new(env, self.root),
        }
    }

    /// Another policy, in the middle of whatever the last one was about.
    fn swap_policy(&mut self) {
        let env = &mut self.env;
        let policy = env.random.pick(&[PolicyKind::ClientOrder, PolicyKind::GlobalClock, PolicyKind::Aging]);
        let control = Machine::control_badge(ControlRights::all()).0;
        let result = env.world.ask(control, &PolicySet { policy }, &[]);
        env.record.note(policy as u64, || format!("the policy is {policy:?} from now on: {result:?}"));
        env.record.count(Counter::Swaps);
        let now = env.world.machine.revocation_status().policy;
        law!("policy", result.is_ok() && now == policy, "{now:?} is in force, {policy:?} was asked for");
    }

    fn driver_acts(&mut self) {
        let env = &mut self.env;
        match &mut self.driver {
            Some(driver) => driver.step(env, &self.device),
            None => {
                let (guaranteed, pins) = self.shares.driver;
                env.record.note(2, || String::from("the driver starts"));
                self.driver = Driver::new(env, self.root, guaranteed, pins, &self.device);
            }
        }
        if env.to_workers.len() > ANSWERS_KEPT {
            env.to_workers.remove(0);
        }
    }

    fn device_works(&mut self) {
        let env = &mut self.env;
        let writes = self.device.0.borrow_mut().work(env.world.now, &mut env.random);
        for write in writes {
            env.record.note(3, || format!("the disk: {write:?}"));
            for frame in write.frames() {
                let state = env.world.machine.database().state(frame);
                let mapped = env.world.machine.pmap.map_count(frame);
                let lent = state == State::Quarantined || state == State::Held && mapped == 0;
                law!("dma-stays-in-lent-frames", lent, "frame {frame} is {state:?}, mapped {mapped} times");
            }
            write.carry_out(env.world.machine.pmap.frames);
        }
    }

    fn client_dies(&mut self) {
        let all = (self.witnesses.len() + self.hostiles.len()) as u64;
        let index = self.env.random.below(all) as usize;
        let env = &mut self.env;
        env.record.note(index as u64, || format!("client {index} dies"));
        env.record.count(Counter::Crashes);
        env.world.touched.much = true;
        match index.checked_sub(self.witnesses.len()) {
            None => {
                if let Some(mut witness) = self.witnesses[index].take() {
                    witness.destroy(env);
                }
            }
            Some(hostile) => {
                if let Some(mut hostile) = self.hostiles[hostile].take() {
                    hostile.destroy(env);
                }
            }
        }
    }

    /// The parent hands guarantee down to a witness, or takes some back, whether it likes that or not.
    fn politics(&mut self) {
        let index = self.env.random.below(self.witnesses.len() as u64) as usize;
        let env = &mut self.env;
        let Some(witness) = &mut self.witnesses[index] else { return };
        let frames = 1 + env.random.below(8);
        let sent = [witness.contract];
        let (more, less) = if env.random.once_in(2) { (frames, 0) } else { (0, frames) };
        let result = if more != 0 {
            env.world.ask(self.root, &HandDown { guaranteed: more, pin_limit: 0 }, &sent)
        } else {
            env.world.ask(self.root, &TakeBack { guaranteed: less, pin_limit: 0 }, &sent)
        };
        env.record.note(frames, || format!("hands {more} frames down, takes {less} back: {result:?}"));
        match result {
            Ok(_) => {
                env.record.count(Counter::HandedDown);
                witness.guaranteed_changes(more, less);
            }
            Err(refused) => {
                let known = [MemoryError::NotAdmitted, MemoryError::Stale].contains(&refused.error);
                law!("typed-answers", known, "{:?}", refused.error);
            }
        }
    }

    fn server_dies(&mut self) {
        if let Some(liar) = self.liar.take_if(|_| self.env.random.once_in(3)) {
            self.env.record.note(6, || String::from("the liar dies"));
            self.env.world.touched.much = true;
            return liar.destroy(&mut self.env);
        }
        if let Some(server) = self.server.take() {
            self.env.record.note(4, || String::from("the file server dies"));
            self.env.record.count(Counter::ServerCrashes);
            self.env.world.touched.much = true;
            server.destroy(&mut self.env);
        }
    }

    fn driver_dies(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.env.record.note(5, || String::from("the driver dies"));
            self.env.record.count(Counter::DriverCrashes);
            driver.destroy(&mut self.env);
        }
    }

    fn sleep(&mut self, until: u64) {
        self.env.record.note(until, || format!("nothing happens until {until}"));
        self.env.world.begin_step(until);
    }

    /// The clock goes on to where something is due: just before, exactly, or just after.
    fn sleep_until_something(&mut self) {
        let now = self.env.now();
        let look = self.driver.as_ref().and_then(Driver::next_look);
        let expiry = self.env.world.machine.next_deadline();
        let due = self.device.0.borrow().next_due();
        let next = [look, due].into_iter().flatten().filter(|&moment| moment > now).min();
        let next = if self.env.random.once_in(100) { expiry } else { next };
        if let Some(next) = next {
            let near = self.env.random.below(3);
            self.sleep(now.max(next + near - 1));
        }
    }

    /// Checks all laws, and what every witness must find.
    pub fn check(&mut self) {
        check_all(&mut self.env);
        for witness in self.witnesses.iter().flatten() {
            witness.compare(&mut self.env);
        }
        for hostile in self.hostiles.iter_mut().flatten() {
            hostile.look_at_all(&mut self.env);
        }
        if let Some(server) = &self.server {
            server.require_nothing_held(&mut self.env);
        }
    }

    /// Ends everybody, and checks that nothing is lost.
    pub fn end(mut self) -> Record {
        self.check();
        let env = &mut self.env;
        env.world.begin_step(env.world.now);
        self.witnesses.iter_mut().flatten().for_each(|witness| witness.destroy(env));
        self.hostiles.iter_mut().flatten().for_each(|hostile| hostile.destroy(env));
        if let Some(server) = self.server.take() {
            server.destroy(env);
        }
        if let Some(liar) = self.liar.take() {
            liar.destroy(env);
        }
        if let Some(driver) = self.driver.take() {
            driver.destroy(env);
        }
        if let Some(pager) = self.pager.take() {
            pager.destroy(env);
        }
        env.record.add(Counter::CleanDrops, env.world.machine.swap_status().dropped_clean);
        env.world.finish_work();
        check_all(env);
        if let Some(place) = self.place.take() {
            let swapped = env.world.machine.swap_status().swapped;
            law!("nothing-is-lost", swapped == 0, "{swapped} pages are out in the end");
            place.destroy(env);
        }
        env.world.finish_work();
        check_all(env);
        if env.mix.reads != 0 {
            self.device.0.borrow_mut().stuck = false;
            let (guaranteed, pins) = self.shares.driver;
            match Driver::new(env, self.root, guaranteed, pins, &self.device) {
                Some(driver) => driver.destroy(env),
                None => law!("nothing-is-lost", false, "no driver can be started in the end"),
            }
        }
        // Contracts whose term is over in the meantime, and claims that lapse.
        let later = env.now() + 10_000_000_000;
        env.world.pass_time(later);
        env.world.finish_work();
        check_all(env);
        self.require_nothing_lost();
        self.env.record
    }

    /// With everybody gone, all frames are free but for the root contract's own few records.
    fn require_nothing_lost(&self) {
        let machine = &self.env.world.machine;
        let root = machine.root();
        let children = machine.get(root, contract::CHILDREN);
        law!("nothing-is-lost", children.is_none(), "a contract has survived");
        let database = machine.database();
        let used = physmem_core::machine::managed_frames(database) - database.free_frames();
        let charged = machine.charged(root);
        law!("nothing-is-lost", used == charged, "{used} frames are in use, the root has {charged}");
        law!("nothing-is-lost", used <= 3, "{used} frames are in use in the end");
        law!("nothing-is-lost", machine.next_deadline().is_none(), "a lock has survived");
    }
}
